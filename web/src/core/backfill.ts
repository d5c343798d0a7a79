import type { CommandOf, RoomEvent, RoomId, Seq } from '../protocol/types';
import type { RoomLog, SeqRange } from './room-log';

/** A gap up to this size is filled without asking: it is at most one page. */
export const AUTO_FILL_MAX = 500;
/** Of a larger one the newest are fetched, and the rest when the person wants it. */
export const GAP_TAIL = 100;
export const OLDER_PAGE = 100;

/** A stretch that one page of `history` is to bring. */
export interface PageRequest {
  after?: Seq;
  before?: Seq;
  limit: number;
}

/** What a room's log lacks and should be fetched now, the most wanted first. */
export function nextPage(log: RoomLog, wants: { older: boolean; gap: Seq | null; maxPage: number }): PageRequest | null {
  const limit = (n: number) => Math.max(1, Math.min(n, wants.maxPage));
  // The latest gap first: the person looks at the end of the room.
  for (let i = log.gaps.length - 1; i >= 0; i--) {
    const gap = log.gaps[i]!;
    const size = rangeSize(gap);
    if (size <= AUTO_FILL_MAX) return { after: gap.from - 1, limit: limit(size) };
    const nothingAfterIt = log.events[log.indexAfter(gap.to)]?.seq !== gap.to + 1;
    if (nothingAfterIt) return { before: gap.to + 1, limit: limit(GAP_TAIL) };
    if (wants.gap !== null && gap.from <= wants.gap && wants.gap <= gap.to) return { before: gap.to + 1, limit: limit(OLDER_PAGE * 2) };
  }
  if (wants.older && log.floor > 0) return { before: log.floor + 1, limit: limit(OLDER_PAGE) };
  return null;
}

export function historyCommand(room: RoomId, { after, before, limit }: PageRequest): CommandOf<'history'> {
  return { type: 'history', room, ...(after !== undefined && { after }), ...(before !== undefined && { before }), limit };
}

/**
 * The stretch that an answer says everything about. Never more than was asked for: while it was under way, the server may
 * have named another gap right after it.
 */
export function coveredRange(asked: PageRequest, events: readonly RoomEvent[], more: boolean): SeqRange {
  if (asked.before !== undefined) {
    const to = asked.before - 1;
    if (!more) return { from: 1, to };
    return { from: events[0]?.seq ?? asked.before, to };
  }
  const after = asked.after ?? 0;
  if (!more) return { from: after + 1, to: after + asked.limit };
  return { from: after + 1, to: events[events.length - 1]?.seq ?? after };
}

export function rangeSize(gap: SeqRange): number {
  return gap.to - gap.from + 1;
}
