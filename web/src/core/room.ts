import type { Person, ReadPosition, RoomId, Seq, UserId } from '../protocol/types';
import type { PageRequest } from './backfill';
import { RoomLog } from './room-log';

/** How long somebody is shown as typing after they last said so. */
export const TYPING_TIMEOUT = 5_000;

/** What the page knows of one room. */
export class Room {
  name: string;
  member: boolean;
  /** Whether the server answered `joined` on this connection. Only then do events come, and may messages go. */
  state: 'closed' | 'opening' | 'open' = 'closed';
  /** The `after` that was asked for while opening; none: only what is new. */
  requestedAfter: Seq | undefined;
  log: RoomLog | null = null;
  head: Seq = 0;
  n = 0;
  /** The number up to which events belong to a catch-up: they tell what was, and change nothing that is. */
  catchUpEnd: Seq = 0;

  read: ReadPosition | null = null;
  /** Nobody has said so: it is not told to the server, where another page may have to tell less. */
  readAssumed = false;
  /** The read position that the server was told. */
  readReported: Seq = 0;
  /** The line "new messages" stands after this number. */
  marker: Seq | null = null;

  count = 0;
  readonly people = new Map<UserId, string>();
  /** Where the next page of them begins. */
  peopleAfter: UserId | null = null;
  /** When the panel last asked who is here. */
  peopleAt = 0;
  readonly typers = new Map<UserId, { name: string; until: number }>();

  fetching: PageRequest | null = null;
  fetchRetryAt = 0;
  fetchAttempt = 0;
  needsOlder = false;
  /** The person asked for the hole around this number. */
  gapTarget: Seq | null = null;

  constructor(readonly id: RoomId, name: string, member = false) {
    this.name = name;
    this.member = member;
  }

  get unread(): number {
    return this.read ? Math.max(0, this.n - this.read.n) : 0;
  }

  /** The person has seen everything that is here. */
  markRead(): void {
    this.readAssumed = false;
    const seq = this.log?.cursor ?? 0;
    if (this.read && this.read.seq >= seq) return;
    this.read = { seq, n: this.n };
  }

  /** A position learned from the server counts if it is further than what is known here. */
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
    this.fetching = null;
    this.gapTarget = null;
  }

  disconnected(): void {
    this.state = 'closed';
    this.requestedAfter = undefined;
    this.fetching = null;
    this.fetchRetryAt = 0;
    // Whether the last `read` arrived is not known; `joined` will say.
    this.readReported = 0;
    this.typers.clear();
  }

  setPeople(count: number, online: readonly Person[]): void {
    this.count = count;
    this.people.clear();
    for (const person of online) this.people.set(person.id, person.name);
  }
}
