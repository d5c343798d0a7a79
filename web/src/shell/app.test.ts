import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { memoryStorage, message, welcome } from '../core/testing';
import type { ServerFrame } from '../protocol/types';
import { App } from './app';
import * as storage from './storage';

/** A WebSocket stub. The test plays the server. */
class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  readonly sent: { type: string; id?: number }[] = [];
  onmessage: (event: { data: string }) => void = () => {};
  onclose: (event: { code: number; reason: string }) => void = () => {};

  constructor() {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(...[JSON.parse(text) as never].flat());
  }
  close(): void {
    this.readyState = 2;
  }

  /** Server side. */
  receive(...frames: ServerFrame[]): void {
    this.readyState = 1;
    this.onmessage({ data: JSON.stringify(frames) });
  }
  closeWith(code: number): void {
    this.readyState = 3;
    this.onclose({ code, reason: '' });
  }
}

interface Request {
  method: string;
  respond: (status: number, body?: object) => Promise<void>;
  fail: () => Promise<void>;
}
let requests: Request[];
const me = { user: { id: 'u7', name: '李雷' } };
const socket = () => FakeSocket.all.at(-1)!;
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  requests = [];
  const stubs = {
    WebSocket: FakeSocket,
    addEventListener: () => {},
    document: { addEventListener: () => {}, visibilityState: 'hidden' },
    navigator: { onLine: true },
    location: { href: 'http://tea.example/', protocol: 'http:', hash: '' },
    history: { replaceState: () => {}, pushState: () => {} },
    localStorage: memoryStorage(),
    fetch: (_: string, { method }: { method: string }) =>
      new Promise((resolve, reject) => {
        requests.push({
          method,
          respond: async (status, body = {}) => {
            resolve({ status, ok: status < 300, json: async () => body });
            await settle();
          },
          fail: async () => {
            reject(new TypeError('no network'));
            await settle();
          },
        });
      }),
  };
  for (const [name, stub] of Object.entries(stubs)) vi.stubGlobal(name, stub);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** An `ok` for the latest command of a type. */
const reply = (type: string, fields: object = {}) => ({ type: 'ok', id: socket().sent.findLast((command) => command.type === type)!.id, ...fields }) as ServerFrame;

function enterLobby(): void {
  socket().receive(welcome());
  socket().receive(reply('rooms', { rooms: [{ room: 'r1', name: 'lobby', head: 1, n: 1, count: 1, joined: true }] }));
  socket().receive({ type: 'joined', room: 'r1', name: 'lobby', head: 1, n: 1, count: 1, online: [] }, message(1));
}

async function startInLobby(): Promise<App> {
  const app = new App();
  void app.start();
  await requests[0]!.respond(200, me);
  enterLobby();
  expect(app.chat.activeRoom?.log?.cursor).toBe(1);
  return app;
}

describe('loading', () => {
  test('session check without a response is retried', async () => {
    const app = new App();
    void app.start();
    await requests[0]!.fail();
    expect([app.screen, app.sessionUnknown]).toEqual(['loading', true]);
    await vi.advanceTimersByTimeAsync(60_000);
    await requests[1]!.respond(503, { code: 'shutting_down' });
    expect(app.screen).toBe('loading');
    await vi.advanceTimersByTimeAsync(60_000);
    await requests[2]!.respond(200, me);
    expect([app.screen, app.chat.you?.id]).toEqual(['chat', 'u7']);
  });

  test('session check with 401 shows the login screen', async () => {
    const app = new App();
    void app.start();
    await requests[0]!.respond(401, { code: 'unauthorized' });
    expect(app.screen).toBe('login');
  });
});

describe('logout', () => {
  test('logout with 503 keeps the connection in use', async () => {
    const app = await startInLobby();
    const deleted = app.deleteSession();
    await requests.at(-1)!.respond(503, { code: 'unavailable' });
    expect(await deleted).toBe(false);
    const [first] = FakeSocket.all;
    first!.receive(message(2));
    expect(app.chat.activeRoom?.log?.cursor).toBe(2);
    app.sendMessage('r1', 'still here');
    expect(first!.sent.at(-1)).toMatchObject({ type: 'send', body: 'still here' });
  });

  test('logout shows the login screen after the response', async () => {
    const app = await startInLobby();
    const deleted = app.deleteSession();
    socket().closeWith(4100);
    expect(app.screen).toBe('chat');
    await requests.at(-1)!.respond(204);
    expect([await deleted, app.screen, app.sessionEnded]).toEqual([true, 'login', false]);
  });

  test('logout without a response after a close ends the session', async () => {
    const app = await startInLobby();
    const deleted = app.deleteSession();
    socket().closeWith(4100);
    await requests.at(-1)!.fail();
    expect([await deleted, app.screen, app.sessionEnded]).toEqual([true, 'login', false]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all.length, 'no connection without a session').toBe(1);
  });
});

describe('session end', () => {
  test('failed upgrade with 401 shows the login screen', async () => {
    const app = await startInLobby();
    socket().closeWith(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    socket().closeWith(1006);
    await requests.at(-1)!.respond(401, { code: 'unauthorized' });
    expect([app.screen, app.sessionEnded]).toEqual(['login', true]);
  });

  test('late 401 after a new login is ignored', async () => {
    const app = await startInLobby();
    socket().closeWith(1006);
    for (let i = 0; i < 2; i++) {
      await vi.advanceTimersByTimeAsync(2_000);
      socket().closeWith(1006);
    }
    const [early, late] = requests.slice(1);
    await early!.respond(401, { code: 'unauthorized' });
    expect(app.screen).toBe('login');
    const entered = app.createSession('李雷');
    await requests.at(-1)!.respond(201, { user: { id: 'u9', name: '李雷' } });
    expect(await entered).toBe(null);
    await late!.respond(401, { code: 'unauthorized' });
    expect([app.screen, app.chat.you?.id]).toEqual(['chat', 'u9']);
  });
});

describe('connection as another user', () => {
  const welcomeOther = () => socket().receive(welcome('e1', 'u9'));
  async function reconnect(): Promise<App> {
    const app = await startInLobby();
    app.sendMessage('r1', 'mine');
    socket().closeWith(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    welcomeOther();
    return app;
  }

  test('login in another tab switches this page to that user', async () => {
    const app = await reconnect();
    await requests.at(-1)!.respond(200, { user: { id: 'u9', name: 'Ann' } });
    welcomeOther();
    expect([app.screen, app.chat.you?.id, app.chat.outbox.items]).toEqual(['chat', 'u9', []]);
  });

  test('logout in another tab shows the login screen, sends nothing', async () => {
    const app = await reconnect();
    await requests.at(-1)!.respond(401, { code: 'unauthorized' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([app.screen, app.sessionEnded, FakeSocket.all.length]).toEqual(['login', true, 2]);
    expect(socket().sent).toEqual([]);
  });
});

test('message of a closed tab is sent when another tab reconnects', async () => {
  await startInLobby();
  storage.saveOutboxItem('u7', { key: 'k', room: 'r1', body: 'left behind', at: 1, epoch: 'e1', state: 'waiting', attempt: 0, retryAt: 0 });
  socket().closeWith(1006);
  await vi.advanceTimersByTimeAsync(1_000);
  socket().receive(welcome(), { type: 'joined', room: 'r1', name: 'lobby', head: 1, n: 1, count: 1, online: [] });
  expect(socket().sent).toContainEqual(expect.objectContaining({ type: 'send', client_message_id: 'k', body: 'left behind' }));
});

test('wall clock set back does not delay a reconnect', async () => {
  await startInLobby();
  socket().closeWith(1006);
  vi.setSystemTime(Date.now() - 3_600_000);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(FakeSocket.all.length).toBe(2);
});
