import type { RoomEvent, Seq } from '../protocol/types';

/** A range of sequence numbers, inclusive. */
export interface SeqRange {
  from: Seq;
  to: Seq;
}

/**
 * The loaded part of one room's log.
 *
 * **Invariant:** every number in (`floor`, `cursor`] is either in `events`, once, or in exactly one of `gaps`; nothing else
 * is loaded. So nothing is duplicated, and what is missing is known. Held by room-log.test.ts and delivery.test.ts.
 */
export class RoomLog {
  /** Ascending. */
  readonly events: RoomEvent[] = [];
  /** Ascending and disjoint. */
  gaps: SeqRange[] = [];
  /** Events up to this number are not loaded. 0: the start of the room is loaded. */
  floor: Seq;
  /** The latest known number; after a reconnect the server sends what follows. */
  cursor: Seq;

  constructor(after: Seq) {
    this.floor = after;
    this.cursor = after;
  }

  has(seq: Seq): boolean {
    return seq > this.floor && seq <= this.cursor && !this.gaps.some((gap) => gap.from <= seq && seq <= gap.to);
  }

  /** Applies a live event. Returns false for a duplicate or an event below the floor. */
  apply(event: RoomEvent): boolean {
    const { seq } = event;
    if (seq > this.cursor) {
      // The server never skips a number without a `gap`. If it did, the missing events would be fetched.
      if (seq > this.cursor + 1) this.gaps.push({ from: this.cursor + 1, to: seq - 1 });
      this.events.push(event);
      this.cursor = seq;
      return true;
    }
    if (seq <= this.floor || this.has(seq)) return false;
    this.merge([event], { from: seq, to: seq });
    return true;
  }

  /** Records that the server skipped the events up to `to`. */
  markGap(to: Seq): void {
    if (to <= this.cursor) return;
    // From the cursor, regardless of `from`: the events in between did not arrive either.
    this.gaps.push({ from: this.cursor + 1, to });
    this.cursor = to;
  }

  /** Merges a page. `covered` is the range that the page describes completely: other events in it do not exist. */
  merge(page: readonly RoomEvent[], covered: SeqRange): void {
    const isMissing = (seq: Seq) =>
      seq >= covered.from && seq <= covered.to && (seq <= this.floor || (seq <= this.cursor && !this.has(seq)));
    // A page that does not reach the floor would leave an unknown range in between.
    const reachesFloor = covered.from <= this.floor && covered.to >= this.floor;
    const added: RoomEvent[] = [];
    let last = 0;
    for (const event of page) {
      if (event.seq <= last) continue;
      last = event.seq;
      if (isMissing(event.seq) && (event.seq > this.floor || reachesFloor)) added.push(event);
    }
    if (added.length > 0) insert(this.events, added);
    this.gaps = this.gaps.flatMap((gap) => subtract(gap, covered));
    if (reachesFloor) this.floor = Math.min(this.floor, covered.from - 1);
  }

  /** Drops the oldest events beyond `keep`; they can be loaded again. */
  trim(keep: number): void {
    const extra = this.events.length - keep;
    if (extra <= 0) return;
    this.events.splice(0, extra);
    this.floor = (this.events[0]?.seq ?? this.cursor + 1) - 1;
    this.gaps = this.gaps.flatMap((gap) => subtract(gap, { from: 0, to: this.floor }));
  }

  /** The index of the first event after `seq`. */
  indexAfter(seq: Seq): number {
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.events[middle]!.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function insert(events: RoomEvent[], added: RoomEvent[]): void {
  const first = added[0]!.seq;
  let at = events.length;
  while (at > 0 && events[at - 1]!.seq > first) at -= 1;
  const tail = events.splice(at);
  let i = 0;
  let j = 0;
  while (i < tail.length || j < added.length) {
    const takeTail = j >= added.length || (i < tail.length && tail[i]!.seq < added[j]!.seq);
    events.push(takeTail ? tail[i++]! : added[j++]!);
  }
}

function subtract(gap: SeqRange, covered: SeqRange): SeqRange[] {
  if (covered.to < gap.from || covered.from > gap.to) return [gap];
  const rest: SeqRange[] = [];
  if (gap.from < covered.from) rest.push({ from: gap.from, to: covered.from - 1 });
  if (gap.to > covered.to) rest.push({ from: covered.to + 1, to: gap.to });
  return rest;
}
