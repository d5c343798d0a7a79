import { describe, expect, test } from 'vitest';
import type { RoomEvent } from '../protocol/types';
import { type MembershipEvent, summarizeMembership } from './membership-summary';
import type { OutboxItem } from './outbox';
import { buildRows, GROUP_INTERVAL, reuseRows, type Row, type RowInput } from './rows';
import { message } from './testing';

const base: RowInput = { events: [], gaps: [], fromStart: false, marker: null, pending: [], you: 'u7', dayOf: (at) => new Date(at).toISOString().slice(0, 10) };
const messageAt = (seq: number, minute: number, who = 'u8', name = 'Ann') =>
  message(seq, { by: { id: who as 'u8', name }, at: new Date(Date.UTC(2026, 10, 22, 10, minute)).toISOString() });
const membership = (type: 'member_joined' | 'member_left', seq: number, name: string): RoomEvent => ({ ...messageAt(seq, 1, `u${name.length + 20}`, name), type });
const item = (key: string, minute: number, state: OutboxItem['state'] = 'waiting'): OutboxItem => ({
  key, room: 'r1', body: key, at: Date.UTC(2026, 10, 22, 10, minute), epoch: 'e1', state, attempt: 0, retryAt: 0,
});
const shape = (rows: Row[]) =>
  rows.map((row) => (row.kind === 'message' || row.kind === 'pending' ? `${row.key}${row.startsGroup ? ' leads' : ''}` : row.kind));

describe('rows', () => {
  test('messages of one user within five minutes form a group', () => {
    const five = GROUP_INTERVAL / 60_000;
    const rows = buildRows({ ...base, events: [messageAt(1, 0), messageAt(2, five), messageAt(3, 2 * five + 1), messageAt(4, 2 * five + 2, 'u9', 'Bob')] });
    expect(shape(rows)).toEqual(['day', 's1 leads', 's2', 's3 leads', 's4 leads']);
  });

  test('new name starts a group', () => {
    expect(shape(buildRows({ ...base, events: [messageAt(1, 0), messageAt(2, 1, 'u8', 'Anna')] }))).toEqual(['day', 's1 leads', 's2 leads']);
  });

  test('each day has one row', () => {
    const next = { ...messageAt(2, 0), at: '2026-11-23T10:00:00.000Z' };
    expect(shape(buildRows({ ...base, events: [messageAt(1, 0), next], fromStart: true }))).toEqual(['start', 'day', 's1 leads', 'day', 's2 leads']);
  });

  test('consecutive membership events share one row', () => {
    const rows = buildRows({ ...base, events: [messageAt(1, 0), membership('member_joined', 2, 'Bob'), membership('member_joined', 3, 'Cleo'), messageAt(4, 2)] });
    expect(shape(rows)).toEqual(['day', 's1 leads', 'membership', 's4 leads']);
  });

  test('event without a view of its own has a row', () => {
    const noted = { ...membership('member_joined', 2, 'Bob'), type: 'noted', note: 'tea' } as unknown as RoomEvent;
    const rows = buildRows({ ...base, events: [messageAt(1, 0), noted, membership('member_joined', 3, 'Cleo'), messageAt(4, 2)] });
    expect(shape(rows)).toEqual(['day', 's1 leads', 'event', 'membership', 's4 leads']);
  });

  test('event of an unknown type has no row', () => {
    const unknown: RoomEvent = { ...membership('member_joined', 2, 'Bob'), type: 'unknown' };
    expect(shape(buildRows({ ...base, events: [messageAt(1, 0), unknown, messageAt(3, 1)] }))).toEqual(['day', 's1 leads', 's3']);
  });

  test('unread marker precedes the first unread message of others', () => {
    const events = [messageAt(1, 0), messageAt(2, 1), messageAt(3, 1, 'u7'), messageAt(4, 2)];
    expect(shape(buildRows({ ...base, events, marker: 1 }))).toEqual(['day', 's1 leads', 'new', 's2 leads', 's3 leads', 's4 leads']);
    expect(shape(buildRows({ ...base, events, marker: 2 }))).toEqual(['day', 's1 leads', 's2', 's3 leads', 'new', 's4 leads']);
    expect(shape(buildRows({ ...base, events, marker: 9 }))).not.toContain('new');
  });

  test('unread marker is omitted when every shown message is unread', () => {
    expect(shape(buildRows({ ...base, events: [messageAt(5, 0)], marker: 1 }))).not.toContain('new');
  });

  test('gap has a row at its position, also at the end', () => {
    const rows = buildRows({ ...base, events: [messageAt(1, 0), messageAt(5, 1)], gaps: [{ from: 2, to: 4 }, { from: 6, to: 9 }] });
    expect(shape(rows)).toEqual(['day', 's1 leads', 'gap', 's5 leads', 'gap']);
    expect(rows.filter((row) => row.kind === 'gap').map((row) => row.size)).toEqual([3, 4]);
  });

  test('pending message is last and joins the own group', () => {
    const rows = buildRows({ ...base, events: [messageAt(1, 0, 'u7', '李雷')], pending: [item('a', 1), item('b', 20, 'failed')] });
    expect(shape(rows)).toEqual(['day', 's1 leads', 'pa', 'pb leads']);
  });

  test('unchanged row keeps its identity', () => {
    const events = [messageAt(1, 0), messageAt(2, 1), membership('member_joined', 3, 'Bob')];
    const first = buildRows({ ...base, events });
    const second = reuseRows(first, buildRows({ ...base, events: [...events, messageAt(4, 3)] }));
    expect(second.slice(0, 4).every((row, i) => row === first[i])).toBe(true);
    const third = reuseRows(second, buildRows({ ...base, events: events.slice(1) }));
    expect(third.find((row) => row.key === 's2'), 'it startsGroup now').not.toBe(first[2]);
  });

  test('pending message with a new state is a new row', () => {
    const waiting = item('a', 1);
    const first = buildRows({ ...base, pending: [waiting] });
    waiting.state = 'failed';
    expect(reuseRows(first, buildRows({ ...base, pending: [waiting] })).at(-1)).not.toBe(first.at(-1));
  });
});

describe('membership summary', () => {
  const by = (id: string, name = id) => ({ id: id as 'u1', name });
  const run = (...steps: [MembershipEvent['type'], string][]) =>
    summarizeMembership(steps.map(([type, id], i) => ({ type, room: 'r1', seq: i + 1, n: 0, by: by(id), at: '', old_name: 'old' }) as MembershipEvent));

  test('user occurs once, by first and last event', () => {
    expect(run(['member_joined', 'a'], ['member_joined', 'b'], ['member_left', 'b'], ['member_left', 'c'], ['member_left', 'd'], ['member_joined', 'd'])).toEqual({
      joined: ['a'], visited: ['b'], left: ['c'], returned: ['d'], renamed: [],
    });
  });

  test('users who joined together are listed individually', () => {
    const together: RoomEvent = { type: 'member_joined', room: 'r1', seq: 2, n: 0, at: '', by: by('b'), also_joined: [by('c'), by('d')] };
    const left: RoomEvent = { type: 'member_left', room: 'r1', seq: 3, n: 0, at: '', by: by('c') };
    const before: RoomEvent = { ...left, seq: 1, by: by('d') };
    expect(summarizeMembership([before, together, left])).toEqual({ joined: ['b'], visited: ['c'], left: [], returned: ['d'], renamed: [] });
  });

  test('rename is listed, except of new members and unchanged names', () => {
    expect(run(['renamed', 'a'], ['member_joined', 'b'], ['renamed', 'b'], ['renamed', 'old'])).toMatchObject({ renamed: [{ oldName: 'old', name: 'a' }], joined: ['b'] });
  });
});
