import { describe, expect, test } from 'vitest';
import { coveredRange, nextPage } from './backfill';
import { RoomLog } from './room-log';
import { message } from './testing';

const seqs = (log: RoomLog) => log.events.map((event) => event.seq);
const page = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => message(from + i));

describe('live event', () => {
  test('next event moves the cursor', () => {
    const log = new RoomLog(40);
    expect([41, 42, 43].map((seq) => log.apply(message(seq)))).toEqual([true, true, true]);
    expect([log.cursor, log.floor, log.gaps]).toEqual([43, 40, []]);
  });

  test('known event is dropped', () => {
    const log = new RoomLog(40);
    log.apply(message(41));
    expect(log.apply(message(41))).toBe(false);
    expect(log.apply(message(40))).toBe(false);
    expect(seqs(log)).toEqual([41]);
  });

  test('event after a skipped number creates a gap', () => {
    const log = new RoomLog(40);
    log.apply(message(41));
    log.apply(message(45));
    expect(log.gaps).toEqual([{ from: 42, to: 44 }]);
    expect(log.apply(message(43))).toBe(true);
    expect(log.gaps).toEqual([{ from: 42, to: 42 }, { from: 44, to: 44 }]);
    expect(seqs(log)).toEqual([41, 43, 45]);
  });
});

describe('gap', () => {
  test('gap moves the cursor past its end', () => {
    const log = new RoomLog(58);
    log.markGap(1812);
    expect([log.cursor, log.gaps]).toEqual([1812, [{ from: 59, to: 1812 }]]);
    expect(log.apply(message(1813))).toBe(true);
  });

  test('gap starts at the cursor, whatever precedes it', () => {
    const log = new RoomLog(0);
    log.apply(message(1));
    log.markGap(9);
    expect(log.gaps).toEqual([{ from: 2, to: 9 }]);
  });

  test('gap below the cursor changes nothing', () => {
    const log = new RoomLog(0);
    for (const event of page(1, 5)) log.apply(event);
    log.markGap(4);
    expect([log.gaps, log.cursor]).toEqual([[], 5]);
  });
});

describe('page', () => {
  test('page inside a gap fills it partially', () => {
    const log = new RoomLog(0);
    log.apply(message(1));
    log.markGap(10);
    log.apply(message(11));
    log.merge(page(2, 4), { from: 2, to: 4 });
    expect([seqs(log), log.gaps]).toEqual([[1, 2, 3, 4, 11], [{ from: 5, to: 10 }]]);
    log.merge(page(8, 10), { from: 8, to: 10 });
    expect(log.gaps).toEqual([{ from: 5, to: 7 }]);
    log.merge(page(1, 12), { from: 1, to: 10 });
    expect([seqs(log), log.gaps]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], []]);
  });

  test('page of older events lowers the floor', () => {
    const log = new RoomLog(50);
    log.apply(message(51));
    log.merge(page(41, 50), { from: 41, to: 50 });
    expect([log.floor, seqs(log)[0]]).toEqual([40, 41]);
    log.merge([], { from: 1, to: 40 });
    expect(log.floor).toBe(0);
  });

  test('page below the floor without contact is ignored', () => {
    const log = new RoomLog(50);
    log.merge(page(11, 20), { from: 11, to: 20 });
    expect([seqs(log), log.floor]).toEqual([[], 50]);
  });

  test('page with known events adds no duplicates', () => {
    const log = new RoomLog(0);
    for (const event of page(1, 5)) log.apply(event);
    log.merge([...page(1, 5), ...page(1, 5)], { from: 1, to: 5 });
    expect(seqs(log)).toEqual([1, 2, 3, 4, 5]);
  });
});

test('trimmed events can be loaded again', () => {
  const log = new RoomLog(0);
  for (const event of page(1, 5)) log.apply(event);
  log.markGap(8);
  for (const event of page(9, 20)) log.apply(event);
  log.trim(10);
  expect([log.floor, log.gaps, seqs(log)[0]]).toEqual([10, [], 11]);
  log.merge(page(1, 10), { from: 1, to: 10 });
  expect([log.floor, seqs(log).length]).toEqual([0, 20]);
});

test('indexAfter returns the first index above a number', () => {
  const log = new RoomLog(0);
  for (const event of page(1, 9)) log.apply(event);
  expect([0, 1, 5, 9, 20].map((seq) => log.indexAfter(seq))).toEqual([0, 1, 5, 9, 9]);
});

describe('next page', () => {
  const wants = { older: false, gap: null, maxPage: 500 };

  test('complete log needs no page unless older events are requested', () => {
    const log = new RoomLog(10);
    expect(nextPage(log, wants)).toBeNull();
    expect(nextPage(log, { ...wants, older: true })).toEqual({ before: 11, limit: 100 });
    expect(nextPage(new RoomLog(0), { ...wants, older: true })).toBeNull();
  });

  test('small gaps are fetched whole, the latest first', () => {
    const log = new RoomLog(0);
    log.markGap(3);
    log.apply(message(4));
    log.markGap(9);
    expect(nextPage(log, wants)).toEqual({ after: 4, limit: 5 });
  });

  test('large gap is fetched from its end, and further on request', () => {
    const log = new RoomLog(0);
    log.apply(message(1));
    log.markGap(2000);
    expect(nextPage(log, wants)).toEqual({ before: 2001, limit: 100 });
    log.merge(page(1901, 2000), { from: 1901, to: 2000 });
    expect(nextPage(log, wants)).toBeNull();
    expect(nextPage(log, { ...wants, gap: 700 })).toEqual({ before: 1901, limit: 200 });
  });

  test('large gap followed by events is not fetched', () => {
    const log = new RoomLog(0);
    log.markGap(2000);
    log.apply(message(2001));
    expect(nextPage(log, wants), 'what follows the gap is enough to read').toBeNull();
  });

  test('page size never exceeds the server limit', () => {
    const log = new RoomLog(0);
    log.markGap(400);
    expect(nextPage(log, { ...wants, maxPage: 50 })).toEqual({ after: 0, limit: 50 });
  });
});

describe('covered range', () => {
  test('reply with more covers up to its last event', () => {
    expect(coveredRange({ after: 58, limit: 42 }, page(59, 80), true)).toEqual({ from: 59, to: 80 });
    expect(coveredRange({ before: 58, limit: 10 }, page(48, 57), true)).toEqual({ from: 48, to: 57 });
  });

  test('reply without more covers the request and not beyond', () => {
    expect(coveredRange({ after: 58, limit: 42 }, page(59, 80), false)).toEqual({ from: 59, to: 100 });
    expect(coveredRange({ before: 58, limit: 100 }, page(3, 57), false)).toEqual({ from: 1, to: 57 });
  });

  test('empty reply with more covers nothing', () => {
    expect(coveredRange({ after: 58, limit: 42 }, [], true)).toEqual({ from: 59, to: 58 });
    expect(coveredRange({ before: 58, limit: 42 }, [], true)).toEqual({ from: 58, to: 57 });
  });
});
