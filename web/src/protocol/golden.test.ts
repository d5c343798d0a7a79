import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decode, decodeEvents, decodeFrame } from './decode';
import { encode, utf8Bytes } from './encode';
import { COMMANDS } from './examples';
import { roomKey, roomName, userName } from './names';
import type { Command } from './types';

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../crates/protocol/golden/${name}.json`, import.meta.url), 'utf8'));

describe('golden frames', () => {
  for (const frame of golden('server')) {
    test(`is decoded unchanged: ${JSON.stringify(frame).slice(0, 60)}`, () => {
      expect(decodeFrame(frame)).toEqual(frame);
    });
  }

  test('every golden command is encoded unchanged', () => {
    expect(COMMANDS.map((command) => JSON.parse(encode([command], 65536)[0]!))).toEqual(golden('client'));
  });
});

describe('golden names', () => {
  const names = golden('names');
  for (const [kind, check] of [['room', roomName], ['user', userName]] as const) {
    for (const [text, name] of Object.entries(names[kind].accepted)) {
      test(`${kind} ${JSON.stringify(text)} is accepted`, () => expect(check(text)).toEqual({ ok: true, name }));
    }
    for (const text of names[kind].rejected) {
      test(`${kind} ${JSON.stringify(text)} is rejected`, () => expect(check(text).ok).toBe(false));
    }
  }

  test('room keys ignore case and width', () => {
    expect(roomKey('Tea')).toBe(roomKey('ｔｅａ'));
    expect(roomKey('STRASSE')).toBe(roomKey('straße'));
    expect(roomKey('ΣΊΣΥΦΟΣ')).toBe(roomKey('σίσυφος'));
    expect(roomKey('茶馆')).not.toBe(roomKey('茶館'));
  });
});

describe('decoder', () => {
  test('invalid frame of an array is left out, the others are kept', () => {
    const text = '[{"type":"dance"},{"type":"gap","room":"r1","from":1,"to":2},{"type":"gap","room":"r1"},7,null]';
    expect(decode(text)).toEqual([{ type: 'gap', room: 'r1', from: 1, to: 2 }]);
    expect(decode('not json')).toEqual([]);
  });

  test('event without a number is rejected', () => {
    expect(decodeFrame({ type: 'message', room: 'r1', seq: 0, n: 0, by: { id: 'u1', name: 'A' }, at: '', body: '' })).toBeNull();
  });

  test('event with an invalid user is rejected', () => {
    const joined = { type: 'member_joined', room: 'r1', seq: 1, n: 0, by: { id: 'u1', name: 'A' }, at: '' };
    expect(decodeFrame({ ...joined, also_joined: [{ id: 'u2', name: 'B' }] })).not.toBeNull();
    for (const others of [[{ id: 'u2' }], [{ id: 'r2', name: 'B' }], 'B', null]) expect(decodeFrame({ ...joined, also_joined: others })).toBeNull();
  });

  test('page with one invalid event is rejected', () => {
    expect(decodeFrame({ type: 'ok', id: 1, events: [{ type: 'message' }], more: false })).toBeNull();
  });
});

describe('encoder', () => {
  test('frame stays within the limits of bytes and commands', () => {
    const commands: Command[] = Array.from({ length: 600 }, (_, id) => ({ type: 'ping', id }));
    const frames = encode(commands, 65536);
    expect(frames.flatMap((frame) => JSON.parse(frame))).toEqual(commands);
    expect(frames.map((frame) => JSON.parse(frame).length)).toEqual([256, 256, 88]);
    for (const frame of encode(commands, 200)) expect(utf8Bytes(frame)).toBeLessThanOrEqual(200);
  });

  test('byte count equals the encoded length', () => {
    for (const text of ['', 'a', 'é', '茶', '👩‍🚀', '\ud800', 'a\udc00b', '\u0000']) {
      expect(utf8Bytes(text)).toBe(new TextEncoder().encode(text).length);
    }
  });
});

describe('page older than its server', () => {
  const numbered = { room: 'r1', seq: 58, n: 52, by: { id: 'u7', name: '李雷' }, at: '2026-11-22T10:00:00.123Z' };

  test('event of an unknown type keeps its number', () => {
    expect(decodeFrame({ type: 'pinned', ...numbered, what: 57 })).toEqual({ type: 'unknown', ...numbered });
    expect(decodeEvents([{ type: 'pinned', ...numbered }])).toEqual([{ type: 'unknown', ...numbered }]);
  });

  test('other frame of an unknown type is rejected', () => {
    expect(decodeFrame({ type: 'weather', room: 'r1' })).toBeNull();
    expect(decodeEvents([{ ...numbered, type: 'welcome' }])).toBeNull();
    expect(decodeEvents([{ ...numbered, type: 'message' }])).toBeNull();
  });
});
