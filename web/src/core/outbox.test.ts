import { beforeEach, describe, expect, test } from 'vitest';
import { Outbox } from './outbox';

const anywhere = () => true;
let box: Outbox;
const write = (key: string, room: 'r1' | 'r2' = 'r1', at = 0) => box.add({ key, room, body: key, at, epoch: 'e1' });
const states = () => box.items.map((item) => `${item.key} ${item.state}`);
const keys = (now = 0) => box.take(now, anywhere).map((item) => item.key);

beforeEach(() => {
  box = new Outbox();
});

describe('the order', () => {
  test('one message of a room is under way at a time; rooms do not wait for each other', () => {
    write('a');
    write('b');
    write('c', 'r2');
    expect(keys()).toEqual(['a', 'c']);
    expect(keys()).toEqual([]);
    box.settle('a');
    expect(keys()).toEqual(['b']);
  });

  test('what was written in one millisecond, or before the clock was set back, comes out of storage as it was written', () => {
    write('c', 'r1', 7);
    write('a', 'r1', 7);
    write('b', 'r1', 3);
    const after = new Outbox();
    after.restore([...box.items].sort((one, two) => one.key.localeCompare(two.key)));
    expect(after.items.map((item) => item.key)).toEqual(['c', 'a', 'b']);
  });

  test('a message that was put off is not overtaken', () => {
    write('a');
    write('b');
    keys();
    box.onError('a', { code: 'rate_limited', retryable: true, retry_after_ms: 1500 }, 1000, 0);
    expect(keys(2000)).toEqual([]);
    expect(box.deadline(2000)).toBe(2500);
    expect(keys(2500)).toEqual(['a']);
  });

  test('what waits for its room to open hides no time at which another may go', () => {
    write('a');
    write('b', 'r2');
    keys();
    box.onError('a', { code: 'rate_limited', retryable: true, retry_after_ms: 100 }, 0, 0);
    box.onError('b', { code: 'rate_limited', retryable: true, retry_after_ms: 5000 }, 0, 0);
    expect(box.take(1000, () => false)).toEqual([]);
    expect(box.deadline(1000)).toBe(5000);
    expect(box.deadline(5000)).toBe(null);
  });

  test('a message that failed for good holds nobody up', () => {
    write('a');
    write('b');
    keys();
    box.onError('a', { code: 'body_too_long', retryable: false }, 0, 0);
    expect(keys()).toEqual(['b']);
    expect(states()).toEqual(['a failed', 'b sent']);
  });

  test('nothing goes to a room that is not open', () => {
    write('a');
    expect(box.take(0, () => false)).toEqual([]);
  });
});

describe('until it is answered', () => {
  test('a message goes again after the line was lost, under the same key', () => {
    write('a');
    keys();
    box.disconnected();
    expect(keys()).toEqual(['a']);
  });

  test('`ok` ends the keeping but not the showing: that is for the event to do', () => {
    write('a');
    keys();
    box.drainChanges();
    box.confirm('a', 5, false);
    expect(states()).toEqual(['a delivered']);
    expect(box.drainChanges()).toEqual([{ remove: 'a' }]);
    expect(box.settle('a')).toBe(true);
    expect(box.items).toEqual([]);
  });

  test('the event may come first, and the `ok` for what is settled changes nothing', () => {
    write('a');
    keys();
    expect(box.settle('a')).toBe(true);
    box.confirm('a', 5, true);
    expect(box.items).toEqual([]);
  });

  test('an `ok` for an event that is here, or that a gap hides, ends the showing too', () => {
    write('a');
    keys();
    box.confirm('a', 5, true);
    write('b');
    keys();
    box.confirm('b', 6, false);
    box.settleUpTo('r1', 9);
    expect(box.items).toEqual([]);
  });

  test('refusals that may pass wait longer each time, and at least as long as the server says', () => {
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

describe('a reload', () => {
  test('brings back what was not answered, in the order in which it was written', () => {
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

describe('another life of the store', () => {
  test('makes waiting messages ask the person', () => {
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

  test('drops what was delivered into the old one', () => {
    write('a');
    keys();
    box.confirm('a', 5, false);
    box.setEpoch('e2');
    expect(box.items).toEqual([]);
  });

  test('leaves alone what was written in this one', () => {
    write('a');
    box.setEpoch('e1');
    expect(states()).toEqual(['a waiting']);
  });
});

describe('the person', () => {
  test('may send a failed message again, under its own key unless that is taken', () => {
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
    expect(box.drainChanges(), 'and no other tab hears that it is settled').toMatchObject([{ save: { key: 'a' } }, { remove: 'b' }, { save: { key: 'fresh' } }]);
  });

  test('cannot delete what may be on its way', () => {
    write('a');
    keys();
    box.discard('a');
    box.retry('a', 0, 'e1', 'x');
    expect(states()).toEqual(['a sent']);
  });

  test('leaving a room keeps what was written there, as failed', () => {
    write('a');
    box.roomLeft('r1');
    expect(box.items[0]).toMatchObject({ state: 'failed', code: 'not_a_member' });
  });

  test('a refusal that was under way when the room was left does not make its message go out again', () => {
    write('a');
    keys();
    box.roomLeft('r1');
    box.onError('a', { code: 'rate_limited', retryable: true }, 0, 0);
    expect(states()).toEqual(['a failed']);
  });

  test('a room that was left elsewhere keeps what was written there as failed, and what had failed as it was', () => {
    write('a');
    write('b');
    write('c', 'r2');
    keys();
    box.onError('a', { code: 'key_conflict', retryable: false }, 0, 0);
    box.retainRooms((room) => room === 'r2');
    expect(box.items.map(({ key, state, code }) => `${key} ${state} ${code}`)).toEqual(['a failed key_conflict', 'b failed not_a_member', 'c sent undefined']);
  });

  test('what another tab struck out is gone here, unless it is under way here', () => {
    write('a');
    write('b');
    keys();
    box.dropUnsent('a');
    box.dropUnsent('b');
    expect(states()).toEqual(['a sent']);
  });
});
