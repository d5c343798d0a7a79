import { expect, test, vi } from 'vitest';
import type { RoomEvent } from '../protocol/types';
import * as storage from '../shell/storage';
import { Chat } from './chat';
import { reconcile } from './reconcile';
import { receive } from './receive';
import { seededRandom, memoryStorage, FaultyServer, FaultyStore } from './testing';
import * as actions from './actions';

/**
 * The promise of the page: nothing missing, nothing doubled, nothing out of order, and nothing that was typed and sent gets
 * lost, whatever happens to the line. Each seed is another story; a failure names its seed.
 */
const SEEDS = 200;
const TIME = 60_000;

/** In which lives of the store the person wants each message sent: in that in which they wrote it, or were asked. */
class Wishes {
  private readonly wanted = new Set<string>();

  add(body: string, { epoch }: Chat): void {
    this.wanted.add(`${body} in ${epoch}`);
  }

  unheeded({ received }: FaultyStore): string[] {
    return received.map(({ body, epoch }) => `${body} in ${epoch}`).filter((said) => !this.wanted.has(said));
  }
}

function story(seed: number, restores: boolean) {
  const random = seededRandom(seed);
  const server = new FaultyServer(random);
  const chat = new Chat();
  chat.pendingRoom = 'lobby';
  const typed: string[] = [];
  const wanted = new Wishes();
  let now = 1_000_000;
  let connected = false;

  const step = (unkind: boolean) => {
    now += Math.floor(random() * 400);
    if (!connected) {
      server.connect();
      connected = true;
    }
    if (unkind) {
      for (let i = Math.floor(random() * 4); i > 0; i--) server.appendFromOther(`other ${server.log.length}`);
      if (random() < 0.02) for (let i = 0; i < 60; i++) server.appendFromOther(`flood ${i}`);
      const room = chat.activeRoom;
      if (room && random() < 0.4) {
        const body = `mine ${typed.length}`;
        typed.push(body);
        wanted.add(body, chat);
        actions.sendMessage(chat, room.id, body, `key-${seed}-${typed.length}`, now);
      }
    }
    for (const frame of server.deliver(Math.floor(random() * 12))) receive(chat, frame, now, random());
    for (const command of reconcile(chat, now)) if (!unkind || random() > 0.01) server.handle(command);
      else {
        // The line was cut while this went out.
        chat.disconnected();
        connected = false;
        break;
      }
    if (unkind && connected && random() < 0.06) {
      chat.disconnected();
      connected = false;
      if (restores && random() < 0.2) server.restore(Math.floor(server.log.length * random()));
    }
    check(chat);
  };
  for (let i = 0; i < 120; i++) step(true);
  if (!connected) chat.disconnected();
  for (let i = 0; i < 2_000 && !quiet(chat, server); i++) {
    step(false);
    for (const item of chat.outbox.items) {
      if (item.state !== 'held') continue;
      wanted.add(item.body, chat);
      chat.outbox.retry(item.key, now, chat.epoch, `${item.key}x`);
    }
    const log = chat.activeRoom?.log;
    // The reader asks for whatever is still missing, above and in between.
    const room = chat.activeRoom;
    if (room && log && log.gaps[0]) actions.fetchGap(room, log.gaps[0].to);
    else if (room) actions.requestOlder(room);
  }
  return { chat, server, typed, unheeded: wanted.unheeded(server.store) };
}

/** The log's invariant: every number above the floor is held once or known to be missing. */
function check(chat: Chat): void {
  const log = chat.activeRoom?.log;
  if (!log) return;
  const all: number[] = log.events.map((event) => event.seq);
  for (const gap of log.gaps) for (let seq = gap.from; seq <= gap.to; seq++) all.push(seq);
  all.sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: log.cursor - log.floor }, (_, i) => log.floor + 1 + i));
}

function quiet(chat: Chat, server: FaultyServer): boolean {
  const log = chat.activeRoom?.log;
  return log?.floor === 0 && log.cursor === server.log.length && log.gaps.length === 0 && chat.outbox.items.length === 0;
}

test('nothing is missing, doubled or out of order, whatever happens to the line', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { chat, server, typed } = story(seed, false);
    const shown = chat.activeRoom?.log?.events ?? [];
    expect(shown, `seed ${seed}`).toEqual(server.log);
    const mine = shown.filter((event) => event.by.id === 'u7').map((event) => (event.type === 'message' ? event.body : ''));
    expect(mine, `seed ${seed}`).toEqual(typed);
    expect(chat.outbox.items, `seed ${seed}`).toEqual([]);
  }
}, TIME);

test('after a restored store the page shows that store, and messages that waited ask first', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { chat, server, unheeded } = story(seed, true);
    expect(unheeded, `seed ${seed}: sent unasked`).toEqual([]);
    expect(chat.activeRoom?.log?.events, `seed ${seed}`).toEqual(server.log);
    const mine = server.log.flatMap((event) => (event.type === 'message' && event.by.id === 'u7' ? [event.body] : []));
    expect(new Set(mine).size, `seed ${seed}`).toBe(mine.length);
  }
}, TIME);

/** A tab as the shell makes it: what it knows is gone with it, and what it wrote down is not. */
class Tab {
  readonly chat = new Chat();
  readonly line: FaultyServer;
  private connected = false;
  /** What other tabs struck out and this one has not received of yet. */
  readonly news: string[] = [];

  constructor(
    private readonly random: () => number,
    store: FaultyStore,
  ) {
    this.line = new FaultyServer(random, 20, 0.1, store);
    this.chat.you = { id: 'u7', name: '李雷' };
    this.chat.pendingRoom = 'lobby';
    this.chat.outbox.restore(storage.loadOutbox('u7'));
  }

  disconnect(): void {
    this.line.disconnect();
    this.chat.disconnected();
    this.connected = false;
  }

  step(now: number, unkind: boolean): void {
    const { chat, line, random } = this;
    if (!this.connected) line.connect();
    this.connected = true;
    while (this.news.length > 0 && random() < 0.5) {
      const key = storage.removedElsewhere('u7', { key: this.news.shift()!, newValue: null });
      if (key !== null) chat.outbox.dropUnsent(key);
    }
    for (const frame of line.deliver(Math.floor(random() * 12))) {
      if (frame.type === 'welcome') chat.outbox.restore(storage.loadOutbox('u7'));
      receive(chat, frame, now, random());
    }
    let cut = unkind && random() < 0.05;
    for (const command of reconcile(chat, now)) {
      // The line may be cut while this goes out.
      cut ||= unkind && random() < 0.01;
      if (!cut) line.handle(command);
    }
    if (cut) this.disconnect();
  }
}

/** An evening of one person in two tabs, which are reloaded and closed at any moment. */
function evening(seed: number, restores: boolean) {
  const random = seededRandom(seed);
  const store = new FaultyStore();
  const tabs: (Tab | null)[] = [new Tab(random, store), new Tab(random, store)];
  let writing: Tab | null = null;
  vi.stubGlobal('localStorage', memoryStorage((key) => tabs.forEach((tab) => tab !== writing && tab?.news.push(key))));
  /** What was written where, in the order of its writing. */
  const typed: string[][] = [[], []];
  /** What a restore took away. */
  const gone: RoomEvent[] = [];
  const wanted = new Wishes();
  let now = 1_000_000;
  let setBack = 0;

  /** Something happens in a tab, and what it leaves behind is written down. */
  const inTab = (tab: Tab, what: () => void) => {
    what();
    writing = tab;
    storage.saveOutbox('u7', tab.chat.outbox.drainChanges());
    writing = null;
  };
  const close = (which: number) => {
    const tab = tabs[which];
    tab?.line.disconnect();
    if (tab) store.connections.splice(store.connections.indexOf(tab.line), 1);
    tabs[which] = null;
  };

  for (let i = 0; i < 160; i++) {
    now += Math.floor(random() * 300);
    if (random() < 0.02) setBack += Math.floor(random() * 5_000);
    const which = random() < 0.5 ? 0 : 1;
    if (random() < 0.05) close(which);
    const tab = (tabs[which] ??= new Tab(random, store));
    const room = tab.chat.activeRoom;
    for (let more = random(); room && more < 0.3; more += 0.1) {
      const body = `${which} says ${typed[which]!.length}`;
      typed[which]!.push(body);
      wanted.add(body, tab.chat);
      inTab(tab, () => actions.sendMessage(tab.chat, room.id, body, `${(random() * 1e9).toFixed()}-${body}`, now - setBack));
    }
    if (random() < 0.1) tab.line.appendFromOther(`other ${store.log.length}`);
    inTab(tab, () => tab.step(now, true));
    if (restores && random() < 0.01) {
      for (const each of tabs) each?.disconnect();
      const keep = Math.floor(store.log.length * random());
      gone.push(...store.log.slice(keep));
      tab.line.restore(keep);
    }
  }
  // What a tab left behind goes when another connects, be it alone from now on or not.
  close(1);
  tabs[0]?.disconnect();
  if (!tabs[0] || random() < 0.5) tabs[1] = new Tab(random, store);
  if (!tabs[0]) tabs.shift();
  let kept = -1;
  for (let i = 0; i < 4_000 && kept !== 0; i++) {
    now += 200;
    const open = tabs.filter((tab) => tab !== null);
    for (const tab of open) {
      inTab(tab, () => {
        tab.step(now, false);
        for (const item of tab.chat.outbox.items) {
          if (item.state !== 'held') continue;
          wanted.add(item.body, tab.chat);
          tab.chat.outbox.retry(item.key, now, tab.chat.epoch, `${item.key}x`);
        }
        if (tab.chat.activeRoom) actions.requestOlder(tab.chat.activeRoom);
      });
    }
    kept = storage.loadOutbox('u7').length + open.filter((tab) => !quiet(tab.chat, tab.line)).length;
  }
  vi.unstubAllGlobals();
  const mine = store.log.flatMap((event) => (event.type === 'message' && event.by.id === 'u7' ? [event.body] : []));
  return { tabs: tabs.filter((tab) => tab !== null), store, typed, gone, mine, kept, unheeded: wanted.unheeded(store) };
}

test('two tabs that are reloaded and closed at any moment lose nothing, double nothing, and mix up nothing that one of them said', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { tabs, store, typed, mine, kept } = evening(seed, false);
    expect(kept, `seed ${seed}: what is still kept`).toBe(0);
    for (const which of [0, 1]) expect(mine.filter((body) => body.startsWith(`${which} `)), `seed ${seed}`).toEqual(typed[which]);
    for (const tab of tabs) expect(tab.chat.activeRoom?.log?.events, `seed ${seed}`).toEqual(store.log);
  }
}, TIME);

test('after a restored store two tabs say nothing unasked or twice, and lose only what was there before', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { tabs, store, typed, gone, mine, kept, unheeded } = evening(seed, true);
    expect(unheeded, `seed ${seed}: sent unasked`).toEqual([]);
    expect(kept, `seed ${seed}: what is still kept`).toBe(0);
    expect(new Set(mine).size, `seed ${seed}`).toBe(mine.length);
    const taken = new Set(gone.map((event) => event.type === 'message' && event.body));
    expect(typed.flat().filter((body) => !mine.includes(body) && !taken.has(body)), `seed ${seed}`).toEqual([]);
    for (const tab of tabs) expect(tab.chat.activeRoom?.log?.events, `seed ${seed}`).toEqual(store.log);
  }
}, TIME);
