import { type ErrorCode, type User, controlFrame, errorCode as validErrorCode, event, user } from './generated';
import type { RoomEvent, RoomId, ServerFrame, UserId } from './types';
import { list, roomId, userId } from './validate';

const events = list(event);

/**
 * Reads a text frame of the server: one object or an array of them. An invalid object is omitted, never guessed: a lost
 * event is a gap in the numbers and is fetched again, a wrong one would be displayed.
 */
export function decode(text: string): ServerFrame[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  return (Array.isArray(value) ? value : [value]).map(decodeFrame).filter((frame) => frame !== null);
}

export function decodeFrame(value: unknown): ServerFrame | null {
  return controlFrame(value) ?? event(value);
}

/** Reads a page of events, as `history` and its HTTP route return it. */
export function decodeEvents(value: unknown): RoomEvent[] | null {
  return events(value);
}

export function decodeUser(value: unknown): User | null {
  return user(value);
}

export function errorCode(code: string): ErrorCode {
  return validErrorCode(code) ?? 'internal';
}

export function isRoomId(value: unknown): value is RoomId {
  return roomId(value) !== null;
}

export function isUserId(value: unknown): value is UserId {
  return userId(value) !== null;
}
