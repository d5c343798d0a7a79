import type { Seq } from '../protocol/types';
import type { RoomLog } from './room-log';

/** How many events the window has while it follows the latest, and at most. */
export const FOLLOW_EVENTS = 160;
export const MAX_WINDOW = 400;
const STEP = 100;

/**
 * The part of a room's log that is rendered: a few hundred of maybe ten thousand events. `first` is null while the window
 * follows the latest event; `last` is null while it reaches the latest event.
 */
export interface EventWindow {
  first: Seq | null;
  last: Seq | null;
}

export const FOLLOW_LATEST: EventWindow = { first: null, last: null };

/** The indices [from, to) of the window's events. */
export function windowIndices(log: RoomLog, window: EventWindow): { from: number; to: number } {
  const to = window.last === null ? log.events.length : log.indexAfter(window.last);
  const from = window.first === null ? Math.max(0, to - FOLLOW_EVENTS) : log.indexAfter(window.first - 1);
  return { from: Math.min(from, to), to };
}

/** Fixes the start of a following window, so that it stays in place while events arrive. */
export function pinStart(log: RoomLog, window: EventWindow): EventWindow {
  if (window.first !== null) return window;
  const first = log.events[windowIndices(log, window).from];
  return first ? { ...window, first: first.seq } : window;
}

/**
 * The maximum number of events for the next extension. Rows are what costs: where many events merge into few rows (a hundred
 * joins), more events fit. Otherwise they would fill the window, and scrolling could not pass them.
 */
export function capacity(log: RoomLog, window: EventWindow, rows: number): number {
  const { from, to } = windowIndices(log, window);
  return rows < MAX_WINDOW / 2 ? Math.max(MAX_WINDOW, to - from + STEP) : MAX_WINDOW;
}

/** Extends the window towards older events; null if none are loaded. */
export function extendBack(log: RoomLog, window: EventWindow, most = MAX_WINDOW): EventWindow | null {
  const { from, to } = windowIndices(log, window);
  if (from === 0) return null;
  const start = Math.max(0, from - STEP);
  const end = Math.min(to, start + most);
  return { first: log.events[start]!.seq, last: end < log.events.length ? log.events[end - 1]!.seq : null };
}

/** Extends the window towards newer events; null if it reaches the latest. */
export function extendForward(log: RoomLog, window: EventWindow, most = MAX_WINDOW): EventWindow | null {
  if (window.last === null) return null;
  const { from, to } = windowIndices(log, window);
  const end = Math.min(log.events.length, to + STEP);
  const start = Math.max(from, end - most);
  return { first: log.events[start]?.seq ?? null, last: end < log.events.length ? log.events[end - 1]!.seq : null };
}

/** Cuts the end of a window that grew too long because many events arrived while the user read further up. */
export function limitWindow(log: RoomLog, window: EventWindow): EventWindow {
  const { from, to } = windowIndices(log, window);
  if (window.first === null || to - from <= MAX_WINDOW * 1.5) return window;
  return { first: window.first, last: log.events[from + MAX_WINDOW - 1]!.seq };
}
