import { describe, expect, test } from 'vitest';
import { capacity, type EventWindow, extendBack, extendForward, FOLLOW_EVENTS, FOLLOW_LATEST, limitWindow, MAX_WINDOW, pinStart, windowIndices } from './event-window';
import { RoomLog } from './room-log';
import { message } from './testing';

describe('event window', () => {
  const log = new RoomLog(0);
  for (let seq = 1; seq <= 1000; seq++) log.apply(message(seq));
  const size = (window: EventWindow) => windowIndices(log, window).to - windowIndices(log, window).from;

  test('following window ends at the latest event', () => {
    expect(windowIndices(log, FOLLOW_LATEST)).toEqual({ from: 1000 - FOLLOW_EVENTS, to: 1000 });
  });

  test('extending to the start and back shows all, within the limit', () => {
    let window = pinStart(log, FOLLOW_LATEST);
    const seen = new Set<number>();
    const look = () => {
      const { from, to } = windowIndices(log, window);
      for (let i = from; i < to; i++) seen.add(log.events[i]!.seq);
      expect(size(window)).toBeLessThanOrEqual(MAX_WINDOW);
    };
    for (let next: EventWindow | null = window; next; next = extendBack(log, window)) {
      window = next;
      look();
    }
    expect(seen.size).toBe(1000);
    expect(windowIndices(log, window).from).toBe(0);
    for (let next: EventWindow | null = window; next; next = extendForward(log, window)) {
      window = next;
      look();
    }
    expect(window.last).toBeNull();
  });

  test('pinned start stays, and a long window is cut at its end', () => {
    const held = pinStart(log, FOLLOW_LATEST);
    expect(held.first).toBe(841);
    const bounded = limitWindow(log, { first: 1, last: null });
    expect(bounded).toEqual({ first: 1, last: MAX_WINDOW });
  });

  test('capacity grows where many events share few rows', () => {
    expect(capacity(log, { first: 1, last: 400 }, 300)).toBe(MAX_WINDOW);
    expect(capacity(log, { first: 1, last: 400 }, 5)).toBe(500);
  });
});
