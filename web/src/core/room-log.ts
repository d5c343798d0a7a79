import type { RoomEvent, Seq } from '../protocol/types';

/** A stretch of numbers, both ends included. */
export interface SeqRange {
  from: Seq;
  to: Seq;
}

/**
 * What the page holds of one room's log.
 *
 * **Invariant:** every number in (`floor`, `cursor`] is either in `events`, once, or in exactly one of `gaps`; nothing else
 * is held. So nothing is doubled, and what is missing is known to be. Held by room-log.test.ts.
 */
export class RoomLog {
  /** Ascending. */
  readonly events: RoomEvent[] = [];
  /** Ascending, apart from each other. */
  gaps: SeqRange[] = [];
  /** What stands at or below was not loaded. 0: the room's very beginning is here. */
  floor: Seq;
  /** The last number known of; after a lost connection the server is asked for what follows. */
  cursor: Seq;

  constructor(after: Seq) {
    this.floor = after;
    this.cursor = after;
  }

  has(seq: Seq): boolean {
    return seq > this.floor && seq <= this.cursor && !this.gaps.some((gap) => gap.from <= seq && seq <= gap.to);
  }

  /** Takes in a live event. False: it was there already, or lies below what is loaded. */
  apply(event: RoomEvent): boolean {
    const { seq } = event;
    if (seq > this.cursor) {
      // The server never leaves a number out subtract a `gap`. Should it, the person still gets what is missing.
      if (seq > this.cursor + 1) this.gaps.push({ from: this.cursor + 1, to: seq - 1 });
      this.events.push(event);
      this.cursor = seq;
      return true;
    }
    if (seq <= this.floor || this.has(seq)) return false;
    this.merge([event], { from: seq, to: seq });
    return true;
  }

  /** The server says that a stretch will not come by itself. */
  markGap(to: Seq): void {
    if (to <= this.cursor) return;
    // From the cursor on, whatever `from` says: what lies between did not come either.
    this.gaps.push({ from: this.cursor + 1, to });
    this.cursor = to;
  }

  /** Takes in a page that says everything there is in `covered`: what it does not hold there does not exist. */
  merge(page: readonly RoomEvent[], covered: SeqRange): void {
    const lands = (seq: Seq) =>
      seq >= covered.from && seq <= covered.to && (seq <= this.floor || (seq <= this.cursor && !this.has(seq)));
    // A page that does not reach up to what is held would leave a stretch of which nothing is known.
    const extends_ = covered.from <= this.floor && covered.to >= this.floor;
    const fresh: RoomEvent[] = [];
    let last = 0;
    for (const event of page) {
      if (event.seq <= last) continue;
      last = event.seq;
      if (lands(event.seq) && (event.seq > this.floor || extends_)) fresh.push(event);
    }
    if (fresh.length > 0) insert(this.events, fresh);
    this.gaps = this.gaps.flatMap((gap) => subtract(gap, covered));
    if (extends_) this.floor = Math.min(this.floor, covered.from - 1);
  }

  /** Lets go of the oldest events beyond `keep`; they can be loaded again. */
  trim(keep: number): void {
    const extra = this.events.length - keep;
    if (extra <= 0) return;
    this.events.splice(0, extra);
    this.floor = (this.events[0]?.seq ?? this.cursor + 1) - 1;
    this.gaps = this.gaps.flatMap((gap) => subtract(gap, { from: 0, to: this.floor }));
  }

  /** Index of the first event with a number above `seq`. */
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

function insert(events: RoomEvent[], fresh: RoomEvent[]): void {
  const first = fresh[0]!.seq;
  let at = events.length;
  while (at > 0 && events[at - 1]!.seq > first) at -= 1;
  const tail = events.splice(at);
  let i = 0;
  let j = 0;
  while (i < tail.length || j < fresh.length) {
    const takeTail = j >= fresh.length || (i < tail.length && tail[i]!.seq < fresh[j]!.seq);
    events.push(takeTail ? tail[i++]! : fresh[j++]!);
  }
}

function subtract(gap: SeqRange, covered: SeqRange): SeqRange[] {
  if (covered.to < gap.from || covered.from > gap.to) return [gap];
  const rest: SeqRange[] = [];
  if (gap.from < covered.from) rest.push({ from: gap.from, to: covered.from - 1 });
  if (gap.to > covered.to) rest.push({ from: covered.to + 1, to: gap.to });
  return rest;
}
