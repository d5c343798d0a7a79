import { expect, test } from 'vitest';
import { Chat } from './chat';
import { poll } from './poll';
import { receive } from './receive';
import { chance, UnkindServer } from './testing';
import * as wishes from './wishes';

/**
 * The promise of the page: nothing missing, nothing doubled, nothing out of order, and nothing that was typed and sent gets
 * lost, whatever happens to the line. Each seed is another story; a failure names its seed.
 */
const SEEDS = 200;
const TIME = 60_000;

function story(seed: number, restores: boolean) {
  const random = chance(seed);
  const server = new UnkindServer(random);
  const chat = new Chat();
  chat.wanted = 'lobby';
  const typed: string[] = [];
  let now = 1_000_000;
  let connected = false;

  const step = (unkind: boolean) => {
    now += Math.floor(random() * 400);
    if (!connected) {
      server.connect();
      connected = true;
    }
    if (unkind) {
      for (let i = Math.floor(random() * 4); i > 0; i--) server.othersSay(`other ${server.log.length}`);
      if (random() < 0.02) for (let i = 0; i < 60; i++) server.othersSay(`flood ${i}`);
      const room = chat.activeRoom;
      if (room && random() < 0.4) {
        const body = `mine ${typed.length}`;
        typed.push(body);
        wishes.say(chat, room.id, body, `key-${seed}-${typed.length}`, now);
      }
    }
    for (const frame of server.deliver(Math.floor(random() * 12))) receive(chat, frame, now, random());
    for (const command of poll(chat, now)) if (!unkind || random() > 0.01) server.hear(command);
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
    for (const item of chat.outbox.items) if (item.state === 'held') chat.outbox.retry(item.key, now, chat.epoch, `${item.key}x`);
    const log = chat.activeRoom?.log;
    // The reader asks for whatever is still missing, above and in between.
    const room = chat.activeRoom;
    if (room && log && log.holes[0]) wishes.pullHole(room, log.holes[0].to);
    else if (room) wishes.wantOlder(room);
  }
  return { chat, server, typed };
}

/** The log's invariant: every number above the floor is held once or known to be missing. */
function check(chat: Chat): void {
  const log = chat.activeRoom?.log;
  if (!log) return;
  const all: number[] = log.events.map((event) => event.seq);
  for (const hole of log.holes) for (let seq = hole.from; seq <= hole.to; seq++) all.push(seq);
  all.sort((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: log.cursor - log.floor }, (_, i) => log.floor + 1 + i));
}

function quiet(chat: Chat, server: UnkindServer): boolean {
  const log = chat.activeRoom?.log;
  return log?.floor === 0 && log.cursor === server.log.length && log.holes.length === 0 && chat.outbox.items.length === 0;
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
    const { chat, server } = story(seed, true);
    expect(chat.activeRoom?.log?.events, `seed ${seed}`).toEqual(server.log);
    const mine = server.log.flatMap((event) => (event.type === 'message' && event.by.id === 'u7' ? [event.body] : []));
    expect(new Set(mine).size, `seed ${seed}`).toBe(mine.length);
  }
}, TIME);
