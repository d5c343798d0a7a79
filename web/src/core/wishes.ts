import type { Command, RoomId, Seq } from '../protocol/types';
import { type Chat, TYPING_EVERY } from './chat';
import { DIRECTORY_EVERY } from './poll';
import type { Room } from './room';

/** What the person may want. Each says at once what is to be sent, or leaves it to `poll`. */

/** Sends a message to a room: shown at once, kept until the server has it. */
export function say(chat: Chat, room: RoomId, body: string, key: string, now: number): void {
  chat.outbox.add({ key, room, body, at: now, epoch: chat.epoch });
  const there = chat.room(room);
  if (there) {
    there.marker = null;
    there.seen();
  }
  chat.typingAsked = 0;
}

/** Goes to a room, by name or id; joins (or makes) it where need be. */
export function go(chat: Chat, nameOrId: string): void {
  const room = chat.find(nameOrId);
  if (room?.member) {
    chat.wanted = null;
    chat.activate(room.id);
  } else {
    chat.wanted = nameOrId;
  }
}

export function leave(chat: Chat, room: Room): Command | null {
  if (!chat.ready || chat.isUnderWay('leave')) return null;
  return chat.track({ type: 'leave', room: room.id });
}

export function rename(chat: Chat, name: string): Command | null {
  if (!chat.ready) return null;
  return chat.track({ type: 'rename', name });
}

/** The person types; the room hears of it now and then. */
export function typing(chat: Chat, room: Room, now: number): Command | null {
  if (!chat.ready || room.stage !== 'open' || now < chat.typingAsked + TYPING_EVERY) return null;
  chat.typingAsked = now;
  return { type: 'typing', room: room.id };
}

/** Which room's latest message is before the person's eyes; null: none. */
export function attend(chat: Chat, room: RoomId | null): void {
  chat.attended = room;
  if (room !== null) chat.room(room)?.seen();
}

/** The person scrolls towards the past. */
export function wantOlder(room: Room): void {
  if (room.log && room.log.floor > 0) room.wantsOlder = true;
}

/** The person asks for what is missing around a number. */
export function pullHole(room: Room, seq: Seq): void {
  room.pull = seq;
}

/** The list of all rooms is looked at. */
export function lookAtDirectory(chat: Chat, now: number): void {
  if (chat.directoryAsked !== null && now - chat.directoryAsked < DIRECTORY_EVERY) return;
  chat.directoryAsked = null;
}

/** The panel of people is looked at: where only a part of them is known, the server is asked. */
export function whoIsHere(chat: Chat, room: Room, now: number, more = false): Command | null {
  if (!chat.ready || room.stage !== 'open' || chat.isUnderWay('who')) return null;
  if (more) return room.peopleNext === null ? null : chat.track({ type: 'who', room: room.id, after: room.peopleNext });
  if (room.count <= room.people.size || now - room.peopleAsked < 10_000) return null;
  room.peopleAsked = now;
  return chat.track({ type: 'who', room: room.id });
}
