import { beforeEach, describe, expect, test } from 'vitest';
import { Outbox } from './outbox';

const always = () => true;
let box: Outbox;
const write = (key: string, room: 'r1' | 'r2' = 'r1', at = 0) => box.add({ key, room, body: key, at, epoch: 'e1' });
const states = () => box.items.map((item) => `${item.key} ${item.state}`);
const keys = (now = 0) => box.take(now, always).map((item) => item.key);

beforeEach(() => {
  box = new Outbox();
});

describe('order', () => {
  test('one message per room is in flight, rooms are independent', () => {
    write('a');
    write('b');
    write('c', 'r2');
    expect(keys()).toEqual(['a', 'c']);
    expect(keys()).toEqual([]);
    box.settle('a');
    expect(keys()).toEqual(['b']);
  });

  test('order of writing survives equal and decreasing timestamps', () => {
    write('c', 'r1', 7);
    write('a', 'r1', 7);
    write('b', 'r1', 3);
    const after = new Outbox();
    after.restore([...box.items].sort((one, two) => one.key.localeCompare(two.key)));
    expect(after.items.map((item) => item.key)).toEqual(['c', 'a', 'b']);
  });

  test('throttled message is not overtaken', () => {
    write('a');
    write('b');
    keys();
    box.onError('a', { code: 'rate_limited', retryable: true, retry_after_ms: 1500 }, 1000, 0);
    expect(keys(2000)).toEqual([]);
    expect(box.deadline(2000)).toBe(2500);
    expect(keys(2500)).toEqual(['a']);
  });

  test('message for a closed room does not hide another retry time', () => {
    write('a');
    write('b', 'r2');
    keys();
    box.onError('a', { code: 'rate_limited', retryable: true, retry_after_ms: 100 }, 0, 0);
    box.onError('b', { code: 'rate_limited', retryable: true, retry_after_ms: 5000 }, 0, 0);
    expect(box.take(1000, () => false)).toEqual([]);
    expect(box.deadline(1000)).toBe(5000);
    expect(box.deadline(5000)).toBe(null);
  });

  test('failed message does not block later ones', () => {
    write('a');
    write('b');
    keys();
    box.onError('a', { code: 'body_too_long', retryable: false }, 0, 0);
    expect(keys()).toEqual(['b']);
    expect(states()).toEqual(['a failed', 'b sent']);
  });

  test('message for a closed room is not sent', () => {
    write('a');
    expect(box.take(0, () => false)).toEqual([]);
  });
});

describe('acknowledgement', () => {
  test('unacknowledged message is sent again with the same key', () => {
    write('a');
    keys();
    box.disconnected();
    expect(keys()).toEqual(['a']);
  });

  test('ok removes from storage and keeps showing until the event', () => {
    write('a');
    keys();
    box.drainChanges();
    box.confirm('a', 5, false);
    expect(states()).toEqual(['a delivered']);
    expect(box.drainChanges()).toEqual([{ remove: 'a' }]);
    expect(box.settle('a')).toBe(true);
    expect(box.items).toEqual([]);
  });

  test('event before ok removes the message, and ok is ignored', () => {
    write('a');
    keys();
    expect(box.settle('a')).toBe(true);
    box.confirm('a', 5, true);
    expect(box.items).toEqual([]);
  });

  test('ok for an event in the log or in a gap removes the message', () => {
    write('a');
    keys();
    box.confirm('a', 5, true);
    write('b');
    keys();
    box.confirm('b', 6, false);
    box.settleUpTo('r1', 9);
    expect(box.items).toEqual([]);
  });

  test('retryable errors back off, at least by retry_after_ms', () => {
    write('a');
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      keys(1e9);
      box.onError('a', { code: 'unavailable', retryable: true, retry_after_ms: 700 }, 0, 0.999);
      waits.push(box.items[0]!.retryAt);
    }
    expect(waits[0]).toBeGreaterThanOrEqual(700);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
  });
});

describe('reload', () => {
  test('unacknowledged messages are restored in order', () => {
    write('a', 'r1', 1);
    write('b', 'r1', 2);
    keys();
    const kept = box.drainChanges().flatMap((change) => ('save' in change ? [{ ...change.save }] : [])).reverse();
    const after = new Outbox();
    after.restore(kept);
    after.restore(kept);
    expect(after.items.map((item) => `${item.key} ${item.state}`)).toEqual(['a waiting', 'b waiting']);
  });
});

describe('new epoch', () => {
  test('waiting and sent messages are held', () => {
    write('a');
    write('b');
    keys();
    box.setEpoch('e2');
    expect(states()).toEqual(['a held', 'b held']);
    expect(keys()).toEqual([]);
    box.retry('a', 10, 'e2', 'x');
    box.discard('b');
    expect(keys()).toEqual(['a']);
  });

  test('delivered messages are removed', () => {
    write('a');
    keys();
    box.confirm('a', 5, false);
    box.setEpoch('e2');
    expect(box.items).toEqual([]);
  });

  test('messages of the current epoch are kept', () => {
    write('a');
    box.setEpoch('e1');
    expect(states()).toEqual(['a waiting']);
  });
});

describe('user actions', () => {
  test('retry reuses the key, except after key_conflict', () => {
    write('a');
    write('b');
    keys();
    box.onError('a', { code: 'not_a_member', retryable: false }, 0, 0);
    keys();
    box.onError('b', { code: 'key_conflict', retryable: false }, 0, 0);
    box.drainChanges();
    box.retry('a', 5, 'e1', 'fresh');
    box.retry('b', 6, 'e1', 'fresh');
    expect(states()).toEqual(['a waiting', 'fresh waiting']);
    expect(box.drainChanges(), 'key a is not removed').toMatchObject([{ save: { key: 'a' } }, { remove: 'b' }, { save: { key: 'fresh' } }]);
  });

  test('message in flight cannot be deleted', () => {
    write('a');
    keys();
    box.discard('a');
    box.retry('a', 0, 'e1', 'x');
    expect(states()).toEqual(['a sent']);
  });

  test('leaving a room fails its messages', () => {
    write('a');
    box.roomLeft('r1');
    expect(box.items[0]).toMatchObject({ state: 'failed', code: 'not_a_member' });
  });

  test('error after leaving the room does not requeue the message', () => {
    write('a');
    keys();
    box.roomLeft('r1');
    box.onError('a', { code: 'rate_limited', retryable: true }, 0, 0);
    expect(states()).toEqual(['a failed']);
  });

  test('room left elsewhere fails its unsent messages', () => {
    write('a');
    write('b');
    write('c', 'r2');
    keys();
    box.onError('a', { code: 'key_conflict', retryable: false }, 0, 0);
    box.retainRooms((room) => room === 'r2');
    expect(box.items.map(({ key, state, code }) => `${key} ${state} ${code}`)).toEqual(['a failed key_conflict', 'b failed not_a_member', 'c sent undefined']);
  });

  test('message removed by another tab is dropped unless in flight', () => {
    write('a');
    write('b');
    keys();
    box.dropUnsent('a');
    box.dropUnsent('b');
    expect(states()).toEqual(['a sent']);
  });
});
