/**
 * The types of the protocol under the names that the page uses. They are generated from the operation table of
 * `crates/protocol` (`generated.ts`); golden.test.ts compares both sides.
 */
import type { Command, controlFrame, event } from './generated';
import type { Valid } from './validate';

export { ERROR_CODES } from './generated';
export type {
  Command, ErrorCode, ErrorFrame, GapFrame as Gap, JoinedFrame as Joined, Limits, MemberJoinedEvent as MemberJoined,
  MemberLeftEvent as MemberLeft, MessageEvent, OkFrame, User, PresenceFrame as Presence, ReadPosition, RenamedEvent as Renamed,
  ResetFrame as Reset, RoomAttributes, RoomSummary, TypingFrame as Typing, WelcomeFrame as Welcome,
} from './generated';
export type { RoomId, UserId } from './validate';

/** The number of an event in its room: 1, 2, 3 … without a gap. 0 is the position before the first event. */
export type Seq = number;

export type RoomEvent = Valid<typeof event>;
/** An event of a type that this page does not know, because a newer server sent it: it has a number and is not displayed. */
export type UnknownEvent = Extract<RoomEvent, { type: 'unknown' }>;
export type ServerFrame = RoomEvent | Valid<typeof controlFrame>;
export type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

export const SUBPROTOCOL = 'teahouse.v1.json';
