import { expect, test, vi } from 'vitest';
import type { RoomEvent } from '../protocol/types';
import * as storage from '../shell/storage';
import * as actions from './actions';
import { Chat } from './chat';
import { receive } from './receive';
import { reconcile } from './reconcile';
import { FaultyServer, FaultyStore, memoryStorage, seededRandom } from './testing';

/**
 * End-to-end property of the client core: nothing is missing, repeated or reordered, and no sent message is lost, under random
 * faults. A failure prints its seed.
 */
const SEEDS = 200;
const TIMEOUT = 60_000;

/** The epochs in which the user wants each message sent: the one of writing, and those in which they pressed "send again". */
class ExpectedSends {
  private readonly expected = new Set<string>();

  add(body: string, { epoch }: Chat): void {
    this.expected.add(`${body} in ${epoch}`);
  }

  unexpected({ received }: FaultyStore): string[] {
    return received.map(({ body, epoch }) => `${body} in ${epoch}`).filter((sent) => !this.expected.has(sent));
  }
}

function runOneTab(seed: number, restores: boolean) {
  const random = seededRandom(seed);
  const server = new FaultyServer(random);
  const chat = new Chat();
  chat.pendingRoom = 'lobby';
  const typed: string[] = [];
  const expected = new ExpectedSends();
  let now = 1_000_000;
  let connected = false;

  const step = (faults: boolean) => {
    now += Math.floor(random() * 400);
    if (!connected) {
      server.connect();
      connected = true;
    }
    if (faults) {
      for (let i = Math.floor(random() * 4); i > 0; i--) server.appendFromOther(`other ${server.log.length}`);
      if (random() < 0.02) for (let i = 0; i < 60; i++) server.appendFromOther(`flood ${i}`);
      const room = chat.activeRoom;
      if (room && random() < 0.4) {
        const body = `mine ${typed.length}`;
        typed.push(body);
        expected.add(body, chat);
        actions.sendMessage(chat, room.id, body, `key-${seed}-${typed.length}`, now);
      }
    }
    for (const frame of server.deliver(Math.floor(random() * 12))) receive(chat, frame, now, random());
    for (const command of reconcile(chat, now)) if (!faults || random() > 0.01) server.handle(command);
      else {
        // Disconnected during the send.
        chat.disconnected();
        connected = false;
        break;
      }
    if (faults && connected && random() < 0.06) {
      chat.disconnected();
      connected = false;
      if (restores && random() < 0.2) server.restore(Math.floor(server.log.length * random()));
    }
    check(chat);
  };
  for (let i = 0; i < 120; i++) step(true);
  if (!connected) chat.disconnected();
  for (let i = 0; i < 2_000 && !isSettled(chat, server); i++) {
    step(false);
    for (const item of chat.outbox.items) {
      if (item.state !== 'held') continue;
      expected.add(item.body, chat);
      chat.outbox.retry(item.key, now, chat.epoch, `${item.key}x`);
    }
    const log = chat.activeRoom?.log;
    // The reader requests whatever is still missing.
    const room = chat.activeRoom;
    if (room && log && log.gaps[0]) actions.fetchGap(room, log.gaps[0].to);
    else if (room) actions.requestOlder(room);
  }
  return { chat, server, typed, unexpected: expected.unexpected(server.store) };
}

/** Checks the log's invariant: every number above the floor is loaded once or in a gap. */
function check(chat: Chat): void {
  const log = chat.activeRoom?.log;
  if (!log) return;
  const all: number[] = log.events.map((event) => event.seq);
  for (const gap of log.gaps) for (let seq = gap.from; seq <= gap.to; seq++) all.push(seq);
  all.sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: log.cursor - log.floor }, (_, i) => log.floor + 1 + i));
}

function isSettled(chat: Chat, server: FaultyServer): boolean {
  const log = chat.activeRoom?.log;
  return log?.floor === 0 && log.cursor === server.log.length && log.gaps.length === 0 && chat.outbox.items.length === 0;
}

test('history is complete, unique and ordered after random faults', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { chat, server, typed } = runOneTab(seed, false);
    const shown = chat.activeRoom?.log?.events ?? [];
    expect(shown, `seed ${seed}`).toEqual(server.log);
    const mine = shown.filter((event) => event.by.id === 'u7').map((event) => (event.type === 'message' ? event.body : ''));
    expect(mine, `seed ${seed}`).toEqual(typed);
    expect(chat.outbox.items, `seed ${seed}`).toEqual([]);
  }
}, TIMEOUT);

test('restored store is shown, and old messages are held', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { chat, server, unexpected } = runOneTab(seed, true);
    expect(unexpected, `seed ${seed}: sent without a user action`).toEqual([]);
    expect(chat.activeRoom?.log?.events, `seed ${seed}`).toEqual(server.log);
    const mine = server.log.flatMap((event) => (event.type === 'message' && event.by.id === 'u7' ? [event.body] : []));
    expect(new Set(mine).size, `seed ${seed}`).toBe(mine.length);
  }
}, TIMEOUT);

/** A tab with the shell's use of storage: its memory is lost on close, its storage is not. */
class Tab {
  readonly chat = new Chat();
  readonly server: FaultyServer;
  private connected = false;
  /** Storage events of other tabs that this one did not process yet. */
  readonly storageEvents: string[] = [];

  constructor(
    private readonly random: () => number,
    store: FaultyStore,
  ) {
    this.server = new FaultyServer(random, 20, 0.1, store);
    this.chat.you = { id: 'u7', name: '李雷' };
    this.chat.pendingRoom = 'lobby';
    this.chat.outbox.restore(storage.loadOutbox('u7'));
  }

  disconnect(): void {
    this.server.disconnect();
    this.chat.disconnected();
    this.connected = false;
  }

  step(now: number, faults: boolean): void {
    const { chat, server, random } = this;
    if (!this.connected) server.connect();
    this.connected = true;
    while (this.storageEvents.length > 0 && random() < 0.5) {
      const key = storage.removedElsewhere('u7', { key: this.storageEvents.shift()!, newValue: null });
      if (key !== null) chat.outbox.dropUnsent(key);
    }
    for (const frame of server.deliver(Math.floor(random() * 12))) {
      if (frame.type === 'welcome') chat.outbox.restore(storage.loadOutbox('u7'));
      receive(chat, frame, now, random());
    }
    let broken = faults && random() < 0.05;
    for (const command of reconcile(chat, now)) {
      // The connection may break during the send.
      broken ||= faults && random() < 0.01;
      if (!broken) server.handle(command);
    }
    if (broken) this.disconnect();
  }
}

/** One user in two tabs that are reloaded and closed at random. */
function runTwoTabs(seed: number, restores: boolean) {
  const random = seededRandom(seed);
  const store = new FaultyStore();
  const tabs: (Tab | null)[] = [new Tab(random, store), new Tab(random, store)];
  let writing: Tab | null = null;
  vi.stubGlobal('localStorage', memoryStorage((key) => tabs.forEach((tab) => tab !== writing && tab?.storageEvents.push(key))));
  /** Bodies per tab, in the order of writing. */
  const typed: string[][] = [[], []];
  /** Events lost by a restore. */
  const lost: RoomEvent[] = [];
  const expected = new ExpectedSends();
  let now = 1_000_000;
  let clockOffset = 0;

  /** Runs something in a tab and persists the outbox. */
  const inTab = (tab: Tab, what: () => void) => {
    what();
    writing = tab;
    storage.saveOutbox('u7', tab.chat.outbox.drainChanges());
    writing = null;
  };
  const close = (which: number) => {
    const tab = tabs[which];
    tab?.server.disconnect();
    if (tab) store.connections.splice(store.connections.indexOf(tab.server), 1);
    tabs[which] = null;
  };

  for (let i = 0; i < 160; i++) {
    now += Math.floor(random() * 300);
    if (random() < 0.02) clockOffset += Math.floor(random() * 5_000);
    const which = random() < 0.5 ? 0 : 1;
    if (random() < 0.05) close(which);
    const tab = (tabs[which] ??= new Tab(random, store));
    const room = tab.chat.activeRoom;
    for (let more = random(); room && more < 0.3; more += 0.1) {
      const body = `${which} says ${typed[which]!.length}`;
      typed[which]!.push(body);
      expected.add(body, tab.chat);
      inTab(tab, () => actions.sendMessage(tab.chat, room.id, body, `${(random() * 1e9).toFixed()}-${body}`, now - clockOffset));
    }
    if (random() < 0.1) tab.server.appendFromOther(`other ${store.log.length}`);
    inTab(tab, () => tab.step(now, true));
    if (restores && random() < 0.01) {
      for (const each of tabs) each?.disconnect();
      const keep = Math.floor(store.log.length * random());
      lost.push(...store.log.slice(keep));
      tab.server.restore(keep);
    }
  }
  // The messages of a closed tab are sent when another tab connects, alone or not.
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
          expected.add(item.body, tab.chat);
          tab.chat.outbox.retry(item.key, now, tab.chat.epoch, `${item.key}x`);
        }
        if (tab.chat.activeRoom) actions.requestOlder(tab.chat.activeRoom);
      });
    }
    kept = storage.loadOutbox('u7').length + open.filter((tab) => !isSettled(tab.chat, tab.server)).length;
  }
  vi.unstubAllGlobals();
  const mine = store.log.flatMap((event) => (event.type === 'message' && event.by.id === 'u7' ? [event.body] : []));
  return { tabs: tabs.filter((tab) => tab !== null), store, typed, lost, mine, kept, unexpected: expected.unexpected(store) };
}

test('two tabs reloaded at random lose, repeat and reorder nothing', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { tabs, store, typed, mine, kept } = runTwoTabs(seed, false);
    expect(kept, `seed ${seed}: still stored`).toBe(0);
    for (const which of [0, 1]) expect(mine.filter((body) => body.startsWith(`${which} `)), `seed ${seed}`).toEqual(typed[which]);
    for (const tab of tabs) expect(tab.chat.activeRoom?.log?.events, `seed ${seed}`).toEqual(store.log);
  }
}, TIMEOUT);

test('two tabs after a restore send nothing unasked or twice', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { tabs, store, typed, lost, mine, kept, unexpected } = runTwoTabs(seed, true);
    expect(unexpected, `seed ${seed}: sent without a user action`).toEqual([]);
    expect(kept, `seed ${seed}: still stored`).toBe(0);
    expect(new Set(mine).size, `seed ${seed}`).toBe(mine.length);
    const taken = new Set(lost.map((event) => event.type === 'message' && event.body));
    expect(typed.flat().filter((body) => !mine.includes(body) && !taken.has(body)), `seed ${seed}`).toEqual([]);
    for (const tab of tabs) expect(tab.chat.activeRoom?.log?.events, `seed ${seed}`).toEqual(store.log);
  }
}, TIMEOUT);
