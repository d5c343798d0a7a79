import { expect, test, vi } from 'vitest';
import type { RoomEvent, ServerFrame } from '../protocol/types';
import { receive } from './receive';
import { at, chatInLobby, welcome } from './testing';

// An attribute that no operation has, so that these tests are about attributes in general.
vi.mock('../protocol/generated', async (original) => ({ ...(await original<object>()), ROOM_ATTRIBUTES: ['note'] }));

const noted = (seq: number, note: string) =>
  ({ type: 'noted', room: 'r1', seq, n: 3, by: { id: 'u9', name: 'Bob' }, at: at(seq), note }) as unknown as RoomEvent;
const joined = (head: number, note?: string) =>
  ({ type: 'joined', room: 'r1', name: 'lobby', head, n: 3, count: 1, online: [], ...(note !== undefined && { note }) }) as ServerFrame;

test('attribute follows joined and events', () => {
  const chat = chatInLobby(3);
  const attributes = chat.room('r1')!.attributes as { note?: string };
  expect(attributes.note).toBeUndefined();
  receive(chat, noted(4, 'tea'), 0, 0);
  expect(attributes.note).toBe('tea');
  receive(chat, noted(5, ''), 0, 0);
  expect(attributes.note).toBe('');
  receive(chat, joined(7, 'coffee'), 0, 0);
  expect(attributes.note).toBe('coffee');
  receive(chat, joined(8), 0, 0);
  expect(attributes.note).toBeUndefined();
});

test('earlier value in a catch-up is ignored', () => {
  const chat = chatInLobby(3);
  chat.disconnected();
  for (const frame of [welcome(), joined(5, 'now'), noted(4, 'before')]) receive(chat, frame, 0, 0);
  expect(chat.room('r1')!.attributes).toEqual({ note: 'now' });
});

test('event without an attribute changes none', () => {
  const chat = chatInLobby(3);
  receive(chat, noted(4, 'tea'), 0, 0);
  receive(chat, { type: 'member_left', room: 'r1', seq: 5, n: 3, by: { id: 'u9', name: 'Bob' }, at: at(5) }, 0, 0);
  expect(chat.room('r1')!.attributes).toEqual({ note: 'tea' });
});
