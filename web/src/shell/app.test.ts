import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ServerFrame } from '../protocol/types';
import { memoryStorage, message, welcome } from '../core/testing';
import { App } from './app';
import * as storage from './storage';

/** As much of a browser as the shell meets. Its server says what the test says, when the test says it. */
class Line {
  static readonly OPEN = 1;
  static all: Line[] = [];
  readyState = 0;
  readonly said: { type: string; id?: number }[] = [];
  onmessage: (event: { data: string }) => void = () => {};
  onclose: (event: { code: number; reason: string }) => void = () => {};

  constructor() {
    Line.all.push(this);
  }
  send(text: string): void {
    this.said.push(...[JSON.parse(text) as never].flat());
  }
  close(): void {
    this.readyState = 2;
  }

  /** The server's side. */
  hear(...frames: ServerFrame[]): void {
    this.readyState = 1;
    this.onmessage({ data: JSON.stringify(frames) });
  }
  end(code: number): void {
    this.readyState = 3;
    this.onclose({ code, reason: '' });
  }
}

interface Request {
  method: string;
  answer: (status: number, body?: object) => Promise<void>;
  fail: () => Promise<void>;
}
let requests: Request[];
const me = { user: { id: 'u7', name: '李雷' } };
const line = () => Line.all.at(-1)!;
const soon = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  Line.all = [];
  requests = [];
  const stubs = {
    WebSocket: Line,
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
          answer: async (status, body = {}) => {
            resolve({ status, ok: status < 300, json: async () => body });
            await soon();
          },
          fail: async () => {
            reject(new TypeError('no network'));
            await soon();
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

/** The answer to the latest command of a type. */
const reply = (type: string, fields: object = {}) => ({ type: 'ok', id: line().said.findLast((command) => command.type === type)!.id, ...fields }) as ServerFrame;

function enterLobby(): void {
  line().hear(welcome());
  line().hear(reply('rooms', { rooms: [{ room: 'r1', name: 'lobby', head: 1, n: 1, count: 1, joined: true }] }));
  line().hear({ type: 'joined', room: 'r1', name: 'lobby', head: 1, n: 1, count: 1, online: [] }, message(1));
}

async function inside(): Promise<App> {
  const app = new App();
  void app.start();
  await requests[0]!.answer(200, me);
  enterLobby();
  expect(app.chat.activeRoom?.log?.cursor).toBe(1);
  return app;
}

describe('opening', () => {
  test('while the server does not say who this is, the page asks again, and nobody who is known is asked for a name', async () => {
    const app = new App();
    void app.start();
    await requests[0]!.fail();
    expect([app.screen, app.sessionUnknown]).toEqual(['loading', true]);
    await vi.advanceTimersByTimeAsync(60_000);
    await requests[1]!.answer(503, { code: 'shutting_down' });
    expect(app.screen).toBe('loading');
    await vi.advanceTimersByTimeAsync(60_000);
    await requests[2]!.answer(200, me);
    expect([app.screen, app.chat.you?.id]).toEqual(['chat', 'u7']);
  });

  test('whom the server does not know stands at the door', async () => {
    const app = new App();
    void app.start();
    await requests[0]!.answer(401, { code: 'unauthorized' });
    expect(app.screen).toBe('login');
  });
});

describe('going away', () => {
  test('where the server cannot end the session, the page goes on hearing and saying', async () => {
    const app = await inside();
    const gone = app.deleteSession();
    await requests.at(-1)!.answer(503, { code: 'unavailable' });
    expect(await gone).toBe(false);
    const [first] = Line.all;
    first!.hear(message(2));
    expect(app.chat.activeRoom?.log?.cursor).toBe(2);
    app.sendMessage('r1', 'still here');
    expect(first!.said.at(-1)).toMatchObject({ type: 'send', body: 'still here' });
  });

  test('the door opens with the answer, not with the close that comes before it', async () => {
    const app = await inside();
    const gone = app.deleteSession();
    line().end(4100);
    expect(app.screen).toBe('chat');
    await requests.at(-1)!.answer(204);
    expect([await gone, app.screen, app.sessionEnded]).toEqual([true, 'login', false]);
  });

  test('an answer that is lost after the close changes nothing: the session has ended', async () => {
    const app = await inside();
    const gone = app.deleteSession();
    line().end(4100);
    await requests.at(-1)!.fail();
    expect([await gone, app.screen, app.sessionEnded]).toEqual([true, 'login', false]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(Line.all.length, 'and nobody connects as a stranger').toBe(1);
  });
});

describe('a session that ended', () => {
  test('is found out when the connection cannot be made', async () => {
    const app = await inside();
    line().end(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    line().end(1006);
    await requests.at(-1)!.answer(401, { code: 'unauthorized' });
    expect([app.screen, app.sessionEnded]).toEqual(['login', true]);
  });

  test('does not throw out whoever came in again before its last answer came', async () => {
    const app = await inside();
    line().end(1006);
    for (let i = 0; i < 2; i++) {
      await vi.advanceTimersByTimeAsync(2_000);
      line().end(1006);
    }
    const [early, late] = requests.slice(1);
    await early!.answer(401, { code: 'unauthorized' });
    expect(app.screen).toBe('login');
    const entered = app.createSession('李雷');
    await requests.at(-1)!.answer(201, { user: { id: 'u9', name: '李雷' } });
    expect(await entered).toBe(null);
    await late!.answer(401, { code: 'unauthorized' });
    expect([app.screen, app.chat.you?.id]).toEqual(['chat', 'u9']);
  });
});

describe('a connection as somebody else', () => {
  const stranger = () => line().hear(welcome('e1', 'u9'));
  async function reconnect(): Promise<App> {
    const app = await inside();
    app.sendMessage('r1', 'mine');
    line().end(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    stranger();
    return app;
  }

  test('is that of whoever came in from another tab: the page is theirs', async () => {
    const app = await reconnect();
    await requests.at(-1)!.answer(200, { user: { id: 'u9', name: 'Ann' } });
    stranger();
    expect([app.screen, app.chat.you?.id, app.chat.outbox.items]).toEqual(['chat', 'u9', []]);
  });

  test('is nobody’s after the session ended in another tab: the page is at the door, and says nothing under a made-up name', async () => {
    const app = await reconnect();
    await requests.at(-1)!.answer(401, { code: 'unauthorized' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([app.screen, app.sessionEnded, Line.all.length]).toEqual(['login', true, 2]);
    expect(line().said).toEqual([]);
  });
});

test('what a tab left behind that was closed goes when another connects again', async () => {
  await inside();
  storage.saveOutboxItem('u7', { key: 'k', room: 'r1', body: 'left behind', at: 1, epoch: 'e1', state: 'waiting', attempt: 0, retryAt: 0 });
  line().end(1006);
  await vi.advanceTimersByTimeAsync(1_000);
  line().hear(welcome(), { type: 'joined', room: 'r1', name: 'lobby', head: 1, n: 1, count: 1, online: [] });
  expect(line().said).toContainEqual(expect.objectContaining({ type: 'send', client_message_id: 'k', body: 'left behind' }));
});

test('a clock that is set back does not put off the next try', async () => {
  await inside();
  line().end(1006);
  vi.setSystemTime(Date.now() - 3_600_000);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(Line.all.length).toBe(2);
});
