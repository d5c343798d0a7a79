import { ERROR_CODES } from './types';
import type {
  ErrorCode, Limits, Person, ReadPosition, RoomEvent, RoomId, RoomSummary, ServerFrame, UserId,
} from './types';

type Fields = Record<string, unknown>;

/**
 * Reads what the server said: one object or an array of them. What is not understood is left out, never guessed: a lost
 * event shows as a hole in the numbers and is fetched again, a wrong one would be believed.
 */
export function decode(text: string): ServerFrame[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const frames: ServerFrame[] = [];
  for (const item of Array.isArray(value) ? value : [value]) {
    const frame = decodeFrame(item);
    if (frame) frames.push(frame);
  }
  return frames;
}

/** Reads a page of events, as `history` and the HTTP address answer it. */
export function decodeEvents(value: unknown): RoomEvent[] | null {
  return list(value, event);
}

export function decodePerson(value: unknown): Person | null {
  return person(value);
}

export function decodeFrame(value: unknown): ServerFrame | null {
  if (!isObject(value) || typeof value.type !== 'string') return null;
  // What is numbered is an event, also of a kind that this page is too old to know: left out it would be a hole for ever.
  const read = READERS[value.type] ?? event;
  return read(value);
}

const READERS: Record<string, (f: Fields) => ServerFrame | null> = {
  message: event,
  member_joined: event,
  member_left: event,
  renamed: event,
  welcome(f) {
    const you = person(f.you);
    const read = limits(f.limits);
    if (!you || !read || typeof f.epoch !== 'string') return null;
    return { type: 'welcome', you, epoch: f.epoch, limits: read, server: typeof f.server === 'string' ? f.server : '' };
  },
  joined(f) {
    const online = list(f.online, person);
    if (!isRoomId(f.room) || typeof f.name !== 'string' || !isCount(f.head) || !isCount(f.n) || !isCount(f.count)) return null;
    if (!online) return null;
    const { room, name, head, n, count } = f;
    return { type: 'joined', ...commandId(f), room, name, head, n, ...readPosition(f), count, online };
  },
  ok(f) {
    const people = f.people === undefined ? undefined : list(f.people, person);
    const rooms = f.rooms === undefined ? undefined : list(f.rooms, summary);
    const events = f.events === undefined ? undefined : list(f.events, event);
    if (people === null || rooms === null || events === null) return null;
    return {
      type: 'ok',
      ...commandId(f),
      ...(isCount(f.seq) && { seq: f.seq }),
      ...(isCount(f.n) && { n: f.n }),
      ...(typeof f.name === 'string' && { name: f.name }),
      ...(isCount(f.count) && { count: f.count }),
      ...(people && { people }),
      ...(rooms && { rooms }),
      ...(events && { events }),
      ...(typeof f.more === 'boolean' && { more: f.more }),
      ...(typeof f.next === 'string' && { next: f.next }),
    };
  },
  error(f) {
    if (typeof f.code !== 'string' || typeof f.retryable !== 'boolean') return null;
    return {
      type: 'error',
      ...commandId(f),
      ...(isRoomId(f.room) && { room: f.room }),
      code: errorCode(f.code),
      message: typeof f.message === 'string' ? f.message : '',
      retryable: f.retryable,
      ...(isCount(f.retry_after_ms) && { retry_after_ms: f.retry_after_ms }),
    };
  },
  gap(f) {
    if (!isRoomId(f.room) || !isCount(f.from) || !isCount(f.to)) return null;
    return { type: 'gap', room: f.room, from: f.from, to: f.to };
  },
  reset(f) {
    if (!isRoomId(f.room) || typeof f.epoch !== 'string') return null;
    return { type: 'reset', room: f.room, epoch: f.epoch };
  },
  presence(f) {
    const online = f.online === undefined ? undefined : list(f.online, person);
    const offline = f.offline === undefined ? undefined : list(f.offline, (id) => (isUserId(id) ? id : null));
    if (!isRoomId(f.room) || !isCount(f.count) || online === null || offline === null) return null;
    return { type: 'presence', room: f.room, count: f.count, ...(online && { online }), ...(offline && { offline }) };
  },
  typing(f) {
    const by = person(f.by);
    return isRoomId(f.room) && by ? { type: 'typing', room: f.room, by } : null;
  },
};

export function errorCode(code: string): ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(code) ? (code as ErrorCode) : 'internal';
}

function event(value: unknown): RoomEvent | null {
  if (!isObject(value)) return null;
  const { room, seq, n, at } = value;
  const by = person(value.by);
  if (!isRoomId(room) || !isCount(seq) || seq < 1 || !isCount(n) || !by || typeof at !== 'string') return null;
  const numbered = { room, seq, n, by, at };
  switch (value.type) {
    case 'message':
      if (typeof value.body !== 'string') return null;
      return {
        type: 'message',
        ...numbered,
        ...(typeof value.client_message_id === 'string' && { client_message_id: value.client_message_id }),
        body: value.body,
      };
    case 'member_joined': {
      const others = value.also_joined === undefined ? undefined : list(value.also_joined, person);
      return others === null ? null : { type: 'member_joined', ...numbered, ...(others && { also_joined: others }) };
    }
    case 'member_left':
      return { type: 'member_left', ...numbered };
    case 'renamed':
      return typeof value.old_name === 'string' ? { type: 'renamed', ...numbered, old_name: value.old_name } : null;
    default:
      return typeof value.type === 'string' && !(value.type in READERS) ? { type: 'unknown', ...numbered } : null;
  }
}

function summary(value: unknown): RoomSummary | null {
  if (!isObject(value)) return null;
  const { room, name, head, n, count, joined } = value;
  if (!isRoomId(room) || typeof name !== 'string' || !isCount(head) || !isCount(n) || !isCount(count)) return null;
  return { room, name, head, n, count, joined: joined === true, ...readPosition(value) };
}

function person(value: unknown): Person | null {
  if (!isObject(value) || !isUserId(value.id) || typeof value.name !== 'string') return null;
  return { id: value.id, name: value.name };
}

function limits(value: unknown): Limits | null {
  if (!isObject(value)) return null;
  const { body_bytes, frame_bytes, room_name_chars, user_name_chars, catch_up_events, history_events } = value;
  if (!isCount(body_bytes) || !isCount(frame_bytes) || !isCount(room_name_chars)) return null;
  if (!isCount(user_name_chars) || !isCount(catch_up_events) || !isCount(history_events)) return null;
  return { body_bytes, frame_bytes, room_name_chars, user_name_chars, catch_up_events, history_events };
}

function readPosition(f: Fields): { read?: ReadPosition } {
  if (!isObject(f.read) || !isCount(f.read.seq) || !isCount(f.read.n)) return {};
  return { read: { seq: f.read.seq, n: f.read.n } };
}

function commandId(f: Fields): { id?: number } {
  return isCount(f.id) ? { id: f.id } : {};
}

function list<T>(value: unknown, read: (item: unknown) => T | null): T[] | null {
  if (!Array.isArray(value)) return null;
  const items: T[] = [];
  for (const item of value) {
    const one = read(item);
    if (one === null) return null;
    items.push(one);
  }
  return items;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function isRoomId(value: unknown): value is RoomId {
  return typeof value === 'string' && /^r(0|[1-9]\d{0,19})$/.test(value);
}

export function isUserId(value: unknown): value is UserId {
  return typeof value === 'string' && /^u(0|[1-9]\d{0,19})$/.test(value);
}
