import type { Seq } from '../protocol/types';
import type { RoomLog } from './room-log';

/** How many events are on the screen's list when it follows the latest, and how many it may hold at all. */
export const FOLLOW_EVENTS = 160;
export const MAX_WINDOW = 400;
const STEP = 100;

/**
 * Which window of a log the list holds. A room of ten thousand messages is scrolled through a window of a few hundred.
 * `first` null: it follows the latest; `last` null: it reaches the latest.
 */
export interface EventWindow {
  first: Seq | null;
  last: Seq | null;
}

export const FOLLOW_LATEST: EventWindow = { first: null, last: null };

/** The windowIndices [from, to) of the events in it. */
export function windowIndices(log: RoomLog, window: EventWindow): { from: number; to: number } {
  const to = window.last === null ? log.events.length : log.indexAfter(window.last);
  const from = window.first === null ? Math.max(0, to - FOLLOW_EVENTS) : log.indexAfter(window.first - 1);
  return { from: Math.min(from, to), to };
}

/** Lets the beginning stay where it is while more comes at the end. */
export function pinStart(log: RoomLog, window: EventWindow): EventWindow {
  if (window.first !== null) return window;
  const first = log.events[windowIndices(log, window).from];
  return first ? { ...window, first: first.seq } : window;
}

/**
 * How many events the list may hold when it is to grow. What costs is rows: where many events melt into few of them (a hundred
 * people came), more events fit; otherwise such a window would fill the window and nobody could scroll past it.
 */
export function capacity(log: RoomLog, window: EventWindow, rows: number): number {
  const { from, to } = windowIndices(log, window);
  return rows < MAX_WINDOW / 2 ? Math.max(MAX_WINDOW, to - from + STEP) : MAX_WINDOW;
}

/** Towards the past; null if nothing older is held. */
export function extendBack(log: RoomLog, window: EventWindow, most = MAX_WINDOW): EventWindow | null {
  const { from, to } = windowIndices(log, window);
  if (from === 0) return null;
  const start = Math.max(0, from - STEP);
  const end = Math.min(to, start + most);
  return { first: log.events[start]!.seq, last: end < log.events.length ? log.events[end - 1]!.seq : null };
}

/** Towards the latest; null if it is there. */
export function extendForward(log: RoomLog, window: EventWindow, most = MAX_WINDOW): EventWindow | null {
  if (window.last === null) return null;
  const { from, to } = windowIndices(log, window);
  const end = Math.min(log.events.length, to + STEP);
  const start = Math.max(from, end - most);
  return { first: log.events[start]?.seq ?? null, last: end < log.events.length ? log.events[end - 1]!.seq : null };
}

/** A list that grew too long at its end, because much came while somebody read further up, ends where it is. */
export function limitWindow(log: RoomLog, window: EventWindow): EventWindow {
  const { from, to } = windowIndices(log, window);
  if (window.first === null || to - from <= MAX_WINDOW * 1.5) return window;
  return { first: window.first, last: log.events[from + MAX_WINDOW - 1]!.seq };
}
