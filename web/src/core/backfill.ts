import type { CommandOf, RoomEvent, RoomId, Seq } from '../protocol/types';
import type { RoomLog, SeqRange } from './room-log';

/** Gaps up to this size are fetched automatically; this is at most one page. */
export const AUTO_FILL_MAX = 500;
/** Of a larger gap, this many of the latest events are fetched automatically. */
export const GAP_TAIL = 100;
export const OLDER_PAGE = 100;

/** A request for one page of `history`. */
export interface PageRequest {
  after?: Seq;
  before?: Seq;
  limit: number;
}

/** The next page to fetch for a room, by priority. */
export function nextPage(log: RoomLog, options: { older: boolean; gap: Seq | null; maxPage: number }): PageRequest | null {
  const limit = (n: number) => Math.max(1, Math.min(n, options.maxPage));
  // The latest gap first, because the view starts at the end of the room.
  for (let i = log.gaps.length - 1; i >= 0; i--) {
    const gap = log.gaps[i]!;
    const size = rangeSize(gap);
    if (size <= AUTO_FILL_MAX) return { after: gap.from - 1, limit: limit(size) };
    const endsLog = log.events[log.indexAfter(gap.to)]?.seq !== gap.to + 1;
    if (endsLog) return { before: gap.to + 1, limit: limit(GAP_TAIL) };
    if (options.gap !== null && gap.from <= options.gap && options.gap <= gap.to) return { before: gap.to + 1, limit: limit(OLDER_PAGE * 2) };
  }
  if (options.older && log.floor > 0) return { before: log.floor + 1, limit: limit(OLDER_PAGE) };
  return null;
}

export function historyCommand(room: RoomId, { after, before, limit }: PageRequest): CommandOf<'history'> {
  return { type: 'history', room, ...(after !== undefined && { after }), ...(before !== undefined && { before }), limit };
}

/**
 * The range that a reply describes completely. It never exceeds the request, because the server may have sent another gap right
 * after it in the meantime.
 */
export function coveredRange(request: PageRequest, events: readonly RoomEvent[], more: boolean): SeqRange {
  if (request.before !== undefined) {
    const to = request.before - 1;
    if (!more) return { from: 1, to };
    return { from: events[0]?.seq ?? request.before, to };
  }
  const after = request.after ?? 0;
  if (!more) return { from: after + 1, to: after + request.limit };
  return { from: after + 1, to: events[events.length - 1]?.seq ?? after };
}

export function rangeSize(gap: SeqRange): number {
  return gap.to - gap.from + 1;
}
