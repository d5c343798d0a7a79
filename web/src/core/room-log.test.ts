import { describe, expect, test } from 'vitest';
import { coveredRange, nextPage } from './backfill';
import { RoomLog } from './room-log';
import { message } from './testing';

const seqs = (log: RoomLog) => log.events.map((event) => event.seq);
const page = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => message(from + i));

describe('live events', () => {
  test('move the cursor one by one', () => {
    const log = new RoomLog(40);
    expect([41, 42, 43].map((seq) => log.apply(message(seq)))).toEqual([true, true, true]);
    expect([log.cursor, log.floor, log.gaps]).toEqual([43, 40, []]);
  });

  test('that are there already are dropped', () => {
    const log = new RoomLog(40);
    log.apply(message(41));
    expect(log.apply(message(41))).toBe(false);
    expect(log.apply(message(40))).toBe(false);
    expect(seqs(log)).toEqual([41]);
  });

  test('that leave a number out show a gap, although the server promised none', () => {
    const log = new RoomLog(40);
    log.apply(message(41));
    log.apply(message(45));
    expect(log.gaps).toEqual([{ from: 42, to: 44 }]);
    expect(log.apply(message(43))).toBe(true);
    expect(log.gaps).toEqual([{ from: 42, to: 42 }, { from: 44, to: 44 }]);
    expect(seqs(log)).toEqual([41, 43, 45]);
  });
});

describe('a gap', () => {
  test('moves the cursor, so that what follows it is live', () => {
    const log = new RoomLog(58);
    log.markGap(1812);
    expect([log.cursor, log.gaps]).toEqual([1812, [{ from: 59, to: 1812 }]]);
    expect(log.apply(message(1813))).toBe(true);
  });

  test('begins at the cursor, whatever was lost before it', () => {
    const log = new RoomLog(0);
    log.apply(message(1));
    log.markGap(9);
    expect(log.gaps).toEqual([{ from: 2, to: 9 }]);
  });

  test('that says nothing new changes nothing', () => {
    const log = new RoomLog(0);
    for (const event of page(1, 5)) log.apply(event);
    log.markGap(4);
    expect([log.gaps, log.cursor]).toEqual([[], 5]);
  });
});

describe('a page', () => {
  test('fills a gap in order and leaves the rest of it', () => {
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

  test('of older events lowers the floor', () => {
    const log = new RoomLog(50);
    log.apply(message(51));
    log.merge(page(41, 50), { from: 41, to: 50 });
    expect([log.floor, seqs(log)[0]]).toEqual([40, 41]);
    log.merge([], { from: 1, to: 40 });
    expect(log.floor).toBe(0);
  });

  test('that does not reach what is held is not taken, because nothing would be known of what lies between', () => {
    const log = new RoomLog(50);
    log.merge(page(11, 20), { from: 11, to: 20 });
    expect([seqs(log), log.floor]).toEqual([[], 50]);
  });

  test('doubles nothing', () => {
    const log = new RoomLog(0);
    for (const event of page(1, 5)) log.apply(event);
    log.merge([...page(1, 5), ...page(1, 5)], { from: 1, to: 5 });
    expect(seqs(log)).toEqual([1, 2, 3, 4, 5]);
  });
});

test('what is let go of can be loaded again', () => {
  const log = new RoomLog(0);
  for (const event of page(1, 5)) log.apply(event);
  log.markGap(8);
  for (const event of page(9, 20)) log.apply(event);
  log.trim(10);
  expect([log.floor, log.gaps, seqs(log)[0]]).toEqual([10, [], 11]);
  log.merge(page(1, 10), { from: 1, to: 10 });
  expect([log.floor, seqs(log).length]).toEqual([0, 20]);
});

test('the index after a number is found by halving', () => {
  const log = new RoomLog(0);
  for (const event of page(1, 9)) log.apply(event);
  expect([0, 1, 5, 9, 20].map((seq) => log.indexAfter(seq))).toEqual([0, 1, 5, 9, 9]);
});

describe('what is fetched', () => {
  const wants = { older: false, gap: null, maxPage: 500 };

  test('nothing, while nothing is missing or wanted', () => {
    const log = new RoomLog(10);
    expect(nextPage(log, wants)).toBeNull();
    expect(nextPage(log, { ...wants, older: true })).toEqual({ before: 11, limit: 100 });
    expect(nextPage(new RoomLog(0), { ...wants, older: true })).toBeNull();
  });

  test('a small gap whole, the latest first', () => {
    const log = new RoomLog(0);
    log.markGap(3);
    log.apply(message(4));
    log.markGap(9);
    expect(nextPage(log, wants)).toEqual({ after: 4, limit: 5 });
  });

  test('of a large gap the end, and the rest when it is asked for', () => {
    const log = new RoomLog(0);
    log.apply(message(1));
    log.markGap(2000);
    expect(nextPage(log, wants)).toEqual({ before: 2001, limit: 100 });
    log.merge(page(1901, 2000), { from: 1901, to: 2000 });
    expect(nextPage(log, wants)).toBeNull();
    expect(nextPage(log, { ...wants, gap: 700 })).toEqual({ before: 1901, limit: 200 });
  });

  test('a large gap that ends a room in which talk goes on', () => {
    const log = new RoomLog(0);
    log.markGap(2000);
    log.apply(message(2001));
    expect(nextPage(log, wants), 'what follows the gap is enough to read').toBeNull();
  });

  test('never more than the server gives', () => {
    const log = new RoomLog(0);
    log.markGap(400);
    expect(nextPage(log, { ...wants, maxPage: 50 })).toEqual({ after: 0, limit: 50 });
  });
});

describe('what an answer covers', () => {
  test('up to its last event, if there is more', () => {
    expect(coveredRange({ after: 58, limit: 42 }, page(59, 80), true)).toEqual({ from: 59, to: 80 });
    expect(coveredRange({ before: 58, limit: 10 }, page(48, 57), true)).toEqual({ from: 48, to: 57 });
  });

  test('all that was asked for, if there is no more, and not a number beyond: another gap may lie there by now', () => {
    expect(coveredRange({ after: 58, limit: 42 }, page(59, 80), false)).toEqual({ from: 59, to: 100 });
    expect(coveredRange({ before: 58, limit: 100 }, page(3, 57), false)).toEqual({ from: 1, to: 57 });
  });

  test('nothing, if it is empty and yet not all', () => {
    expect(coveredRange({ after: 58, limit: 42 }, [], true)).toEqual({ from: 59, to: 58 });
    expect(coveredRange({ before: 58, limit: 42 }, [], true)).toEqual({ from: 58, to: 57 });
  });
});
