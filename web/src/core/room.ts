import { ROOM_ATTRIBUTES } from '../protocol/generated';
import type { User, ReadPosition, RoomEvent, RoomId, RoomAttributes, Seq, UserId } from '../protocol/types';
import type { PageRequest } from './backfill';
import { RoomLog } from './room-log';

/** How long a user is shown as typing after their last `typing`. */
export const TYPING_TIMEOUT = 5_000;

/** The client state of one room. */
export class Room {
  name: string;
  member: boolean;
  /** `open` after `joined` on this connection. Only then events arrive and messages may be sent. */
  state: 'closed' | 'opening' | 'open' = 'closed';
  /** The `after` of the pending `join` or `resume`; undefined: only new events. */
  requestedAfter: Seq | undefined;
  /** The attributes of the room, such as its topic. */
  readonly attributes: RoomAttributes = {};
  /** The event as of which each attribute is known. */
  readonly attributeSeqs = new Map<string, Seq>();
  log: RoomLog | null = null;
  head: Seq = 0;
  n = 0;
  /** Events up to this number belong to the catch-up: they are history and do not change the current state. */
  catchUpEnd: Seq = 0;

  read: ReadPosition | null = null;
  /** `read` is an assumption. It is not reported, because another page may have read less. */
  readAssumed = false;
  /** The last read position stored by the server. */
  readReported: Seq = 0;
  /** The line "new messages" is shown after this number. */
  marker: Seq | null = null;

  count = 0;
  readonly users = new Map<UserId, string>();
  /** The cursor of the next page of `users`. */
  usersAfter: UserId | null = null;
  /** When `who` was last sent. */
  usersAt = 0;
  readonly typers = new Map<UserId, { name: string; until: number }>();

  fetching: PageRequest | null = null;
  fetchRetryAt = 0;
  fetchAttempt = 0;
  needsOlder = false;
  /** The user requested the gap around this number. */
  gapTarget: Seq | null = null;

  constructor(readonly id: RoomId, name: string, member = false) {
    this.name = name;
    this.member = member;
  }

  get unread(): number {
    return this.read ? Math.max(0, this.n - this.read.n) : 0;
  }

  /** Marks everything received as read. */
  markRead(): void {
    this.readAssumed = false;
    const seq = this.log?.cursor ?? 0;
    if (this.read && this.read.seq >= seq) return;
    this.read = { seq, n: this.n };
  }

  /** Merges the attributes as of event `seq`. An absent one has no value. */
  updateAttributes(values: RoomAttributes, seq: Seq): void {
    for (const name of ROOM_ATTRIBUTES) this.#setAttribute(name, values[name], seq);
  }

  /** Merges the attributes that an event changes: its fields with their names. */
  applyAttributes(event: RoomEvent): void {
    const fields = event as Partial<RoomAttributes>;
    for (const name of ROOM_ATTRIBUTES) if (name in fields) this.#setAttribute(name, fields[name], event.seq);
  }

  /** Of each attribute, only a later value counts: history is loaded backwards. */
  #setAttribute<K extends keyof RoomAttributes>(name: K, value: RoomAttributes[K], seq: Seq): void {
    if (seq < (this.attributeSeqs.get(name) ?? 0)) return;
    this.attributes[name] = value;
    this.attributeSeqs.set(name, seq);
  }

  /** Merges a read position from the server: only a later one counts. */
  updateRead(read: ReadPosition | undefined): void {
    if (!read) return;
    this.readReported = Math.max(this.readReported, read.seq);
    if (!this.read || this.readAssumed || read.seq > this.read.seq) this.read = read;
    this.readAssumed = false;
  }

  startLog(after: Seq): RoomLog {
    this.log = new RoomLog(after);
    return this.log;
  }

  clear(): void {
    this.log = null;
    this.requestedAfter = undefined;
    this.read = null;
    this.readAssumed = false;
    this.readReported = 0;
    this.marker = null;
    this.attributeSeqs.clear();
    this.fetching = null;
    this.gapTarget = null;
  }

  disconnected(): void {
    this.state = 'closed';
    this.requestedAfter = undefined;
    this.fetching = null;
    this.fetchRetryAt = 0;
    // The last `read` may be lost; `joined` returns the current position.
    this.readReported = 0;
    this.typers.clear();
  }

  setUsers(count: number, online: readonly User[]): void {
    this.count = count;
    this.users.clear();
    for (const user of online) this.users.set(user.id, user.name);
  }
}
