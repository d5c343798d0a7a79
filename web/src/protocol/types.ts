/**
 * What is said between the page and the server, as docs/PROTOCOL.md has it. The golden frames of `crates/protocol` hold these
 * types and the server's together: see golden.test.ts.
 */

export type RoomId = `r${number}`;
export type UserId = `u${number}`;
/** The number of an event in its room: 1, 2, 3 … without a hole. 0 stands before the first event. */
export type Seq = number;

export interface Person {
  id: UserId;
  name: string;
}

/** How far somebody has read: the last event seen, and the room's messages up to there. */
export interface ReadPosition {
  seq: Seq;
  n: number;
}

export interface Limits {
  body_bytes: number;
  frame_bytes: number;
  room_name_chars: number;
  user_name_chars: number;
  catch_up_events: number;
  history_events: number;
}

// --- events: the room's log ------------------------------------------------------------------------------------------

interface Numbered {
  room: RoomId;
  seq: Seq;
  n: number;
  by: Person;
  /** RFC 3339, UTC, milliseconds. */
  at: string;
}

export interface MessageEvent extends Numbered {
  type: 'message';
  client_message_id?: string;
  body: string;
}
export interface MemberJoined extends Numbered {
  type: 'member_joined';
  /** Who joined in the same moment, beside `by`. */
  also_joined?: Person[];
}
export interface MemberLeft extends Numbered {
  type: 'member_left';
}
export interface Renamed extends Numbered {
  type: 'renamed';
  old_name: string;
}
/** Of a kind that a later server knows: it has its place among the numbers, and shows nothing. */
export interface UnknownEvent extends Numbered {
  type: 'unknown';
}
export type RoomEvent = MessageEvent | MemberJoined | MemberLeft | Renamed | UnknownEvent;

// --- beside the log --------------------------------------------------------------------------------------------------

export interface Welcome {
  type: 'welcome';
  you: Person;
  epoch: string;
  limits: Limits;
  server: string;
}
export interface Joined {
  type: 'joined';
  id?: number;
  room: RoomId;
  name: string;
  head: Seq;
  n: number;
  read?: ReadPosition;
  count: number;
  online: Person[];
}
export interface RoomSummary {
  room: RoomId;
  name: string;
  head: Seq;
  n: number;
  count: number;
  joined: boolean;
  read?: ReadPosition;
}
/** What a command gave. Which fields there are follows from the command that it answers. */
export interface OkFrame {
  type: 'ok';
  id?: number;
  seq?: Seq;
  n?: number;
  name?: string;
  count?: number;
  people?: Person[];
  rooms?: RoomSummary[];
  events?: RoomEvent[];
  more?: boolean;
  next?: string;
}
export interface ErrorFrame {
  type: 'error';
  id?: number;
  room?: RoomId;
  code: ErrorCode;
  message: string;
  retryable: boolean;
  retry_after_ms?: number;
}
export interface Gap {
  type: 'gap';
  room: RoomId;
  from: Seq;
  to: Seq;
}
export interface Reset {
  type: 'reset';
  room: RoomId;
  epoch: string;
}
export interface Presence {
  type: 'presence';
  room: RoomId;
  count: number;
  online?: Person[];
  offline?: UserId[];
}
export interface Typing {
  type: 'typing';
  room: RoomId;
  by: Person;
}
export type ServerFrame = RoomEvent | Welcome | Joined | OkFrame | ErrorFrame | Gap | Reset | Presence | Typing;

// --- commands --------------------------------------------------------------------------------------------------------

export type Command = { id?: number } & (
  | { type: 'join'; room: string; after?: Seq; epoch?: string }
  | { type: 'resume'; rooms: Record<RoomId, Seq>; epoch?: string }
  | { type: 'leave'; room: string }
  | { type: 'send'; room: string; client_message_id: string; body: string }
  | { type: 'typing'; room: string }
  | { type: 'who'; room: string; after?: UserId; limit?: number }
  | { type: 'rename'; name: string }
  | { type: 'rooms'; joined?: boolean; after?: RoomId; limit?: number }
  | { type: 'history'; room: string; after?: Seq; before?: Seq; limit?: number }
  | { type: 'read'; room: string; seq: Seq }
  | { type: 'ping' }
);
export type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

/** The codes of docs/PROTOCOL.md. A newer server may have others; they are read as `internal`'s words. */
export const ERROR_CODES = [
  'malformed',
  'unknown_type',
  'invalid_name',
  'body_empty',
  'body_too_long',
  'room_not_found',
  'not_a_member',
  'key_conflict',
  'too_many_rooms',
  'rate_limited',
  'overloaded',
  'unavailable',
  'storage_full',
  'shutting_down',
  'unauthorized',
  'forbidden_origin',
  'not_found',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export const SUBPROTOCOL = 'teahouse.v1.json';
