import type { Seq } from '../protocol/types';
import type { RoomLog } from './room-log';

/** How many events are on the screen's list when it follows the latest, and how many it may hold at all. */
export const FOLLOWED = 160;
export const HELD = 400;
const STEP = 100;

/**
 * Which stretch of a log the list holds. A room of ten thousand messages is scrolled through a window of a few hundred.
 * `first` null: it follows the latest; `last` null: it reaches the latest.
 */
export interface Stretch {
  first: Seq | null;
  last: Seq | null;
}

export const FOLLOW: Stretch = { first: null, last: null };

/** The indices [from, to) of the events in it. */
export function indices(log: RoomLog, stretch: Stretch): { from: number; to: number } {
  const to = stretch.last === null ? log.events.length : log.indexAfter(stretch.last);
  const from = stretch.first === null ? Math.max(0, to - FOLLOWED) : log.indexAfter(stretch.first - 1);
  return { from: Math.min(from, to), to };
}

/** Lets the beginning stay where it is while more comes at the end. */
export function hold(log: RoomLog, stretch: Stretch): Stretch {
  if (stretch.first !== null) return stretch;
  const first = log.events[indices(log, stretch).from];
  return first ? { ...stretch, first: first.seq } : stretch;
}

/**
 * How many events the list may hold when it is to grow. What costs is rows: where many events melt into few of them (a hundred
 * people came), more events fit; otherwise such a stretch would fill the window and nobody could scroll past it.
 */
export function capacity(log: RoomLog, stretch: Stretch, rows: number): number {
  const { from, to } = indices(log, stretch);
  return rows < HELD / 2 ? Math.max(HELD, to - from + STEP) : HELD;
}

/** Towards the past; null if nothing older is held. */
export function earlier(log: RoomLog, stretch: Stretch, most = HELD): Stretch | null {
  const { from, to } = indices(log, stretch);
  if (from === 0) return null;
  const start = Math.max(0, from - STEP);
  const end = Math.min(to, start + most);
  return { first: log.events[start]!.seq, last: end < log.events.length ? log.events[end - 1]!.seq : null };
}

/** Towards the latest; null if it is there. */
export function later(log: RoomLog, stretch: Stretch, most = HELD): Stretch | null {
  if (stretch.last === null) return null;
  const { from, to } = indices(log, stretch);
  const end = Math.min(log.events.length, to + STEP);
  const start = Math.max(from, end - most);
  return { first: log.events[start]?.seq ?? null, last: end < log.events.length ? log.events[end - 1]!.seq : null };
}

/** A list that grew too long at its end, because much came while somebody read further up, ends where it is. */
export function bound(log: RoomLog, stretch: Stretch): Stretch {
  const { from, to } = indices(log, stretch);
  if (stretch.first === null || to - from <= HELD * 1.5) return stretch;
  return { first: stretch.first, last: log.events[from + HELD - 1]!.seq };
}
