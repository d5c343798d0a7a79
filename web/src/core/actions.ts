import type { Command, RoomId, Seq } from '../protocol/types';
import { type Chat, TYPING_INTERVAL, type TypedLine } from './chat';
import { DIRECTORY_MAX_AGE } from './reconcile';
import type { Room } from './room';

/** User actions. Each returns a command to send at once; null leaves it to `reconcile`. */

/** Queues a message: it is shown at once and kept until the server acknowledges it. */
export function sendMessage(chat: Chat, room: RoomId, body: string, key: string, now: number): void {
  chat.outbox.add({ key, room, body, at: now, epoch: chat.epoch });
  const there = chat.room(room);
  if (there) {
    there.marker = null;
    there.markRead();
  }
  chat.typingSentAt = 0;
}

/** Opens a room by name or id; joins or creates it if needed. */
export function openRoom(chat: Chat, nameOrId: string): void {
  const room = chat.find(nameOrId);
  if (room?.member) {
    chat.pendingRoom = null;
    chat.activate(room.id);
  } else {
    chat.pendingRoom = nameOrId;
  }
}

export function leaveRoom(chat: Chat, room: Room): Command | null {
  return chat.isPending('leave') ? null : perform(chat, { type: 'leave', room: room.id });
}

/** Sends a command that needs no special handling. If it fails, a notice is shown. */
export function perform(chat: Chat, command: Command, line?: TypedLine): Command | null {
  if (!chat.ready) return null;
  const tracked = chat.track(command);
  chat.startedByUser.set(tracked, line);
  return tracked;
}

/** Reports that the user is typing, throttled. */
export function reportTyping(chat: Chat, room: Room, now: number): Command | null {
  if (!chat.ready || room.state !== 'open' || now < chat.typingSentAt + TYPING_INTERVAL) return null;
  chat.typingSentAt = now;
  return { type: 'typing', room: room.id };
}

/** Sets the room whose latest message the user is looking at; null: none. */
export function setFocusedRoom(chat: Chat, room: RoomId | null): void {
  chat.focused = room;
  if (room !== null) chat.room(room)?.markRead();
}

/** Requests older events after scrolling up. */
export function requestOlder(room: Room): void {
  if (room.log && room.log.floor > 0) room.needsOlder = true;
}

/** Requests the gap around a number. */
export function fetchGap(room: Room, seq: Seq): void {
  room.gapTarget = seq;
}

/** Requests the directory again if it is outdated. */
export function refreshDirectory(chat: Chat, now: number): void {
  if (chat.directoryAt !== null && now - chat.directoryAt < DIRECTORY_MAX_AGE) return;
  chat.directoryAt = null;
}

/** Requests the members online, unless all of them are known already. */
export function requestUsers(chat: Chat, room: Room, now: number, more = false): Command | null {
  if (!chat.ready || room.state !== 'open' || chat.isPending('who')) return null;
  if (more) return room.usersAfter === null ? null : chat.track({ type: 'who', room: room.id, after: room.usersAfter });
  if (room.count <= room.users.size || now - room.usersAt < 10_000) return null;
  room.usersAt = now;
  return chat.track({ type: 'who', room: room.id });
}
