import type { CommandOf, RoomEvent, RoomId, Seq } from '../protocol/types';
import type { RoomLog, Span } from './room-log';

/** A hole up to this size is filled without asking: it is at most one page. */
export const FILL_UNASKED = 500;
/** Of a larger one the newest are fetched, and the rest when the person wants it. */
export const TAIL = 100;
export const OLDER = 100;

/** A stretch that one page of `history` is to bring. */
export interface Fetch {
  after?: Seq;
  before?: Seq;
  limit: number;
}

/** What a room's log lacks and should be fetched now, the most wanted first. */
export function nextFetch(log: RoomLog, wants: { older: boolean; pull: Seq | null; maxPage: number }): Fetch | null {
  const limit = (n: number) => Math.max(1, Math.min(n, wants.maxPage));
  // The latest hole first: the person looks at the end of the room.
  for (let i = log.holes.length - 1; i >= 0; i--) {
    const hole = log.holes[i]!;
    const size = sizeOf(hole);
    if (size <= FILL_UNASKED) return { after: hole.from - 1, limit: limit(size) };
    const nothingAfterIt = log.events[log.indexAfter(hole.to)]?.seq !== hole.to + 1;
    if (nothingAfterIt) return { before: hole.to + 1, limit: limit(TAIL) };
    if (wants.pull !== null && hole.from <= wants.pull && wants.pull <= hole.to) return { before: hole.to + 1, limit: limit(OLDER * 2) };
  }
  if (wants.older && log.floor > 0) return { before: log.floor + 1, limit: limit(OLDER) };
  return null;
}

export function asCommand(room: RoomId, { after, before, limit }: Fetch): CommandOf<'history'> {
  return { type: 'history', room, ...(after !== undefined && { after }), ...(before !== undefined && { before }), limit };
}

/**
 * The stretch that an answer says everything about. Never more than was asked for: while it was under way, the server may
 * have named another gap right after it.
 */
export function covered(asked: Fetch, events: readonly RoomEvent[], more: boolean): Span {
  if (asked.before !== undefined) {
    const to = asked.before - 1;
    if (!more) return { from: 1, to };
    return { from: events[0]?.seq ?? asked.before, to };
  }
  const after = asked.after ?? 0;
  if (!more) return { from: after + 1, to: after + asked.limit };
  return { from: after + 1, to: events[events.length - 1]?.seq ?? after };
}

export function sizeOf(hole: Span): number {
  return hole.to - hole.from + 1;
}
