import { describe, expect, test } from 'vitest';
import type { RoomEvent } from '../protocol/types';
import type { OutboxItem } from './outbox';
import { summarizeMembership } from './membership-summary';
import { GROUP_INTERVAL, reuseRows, buildRows, type Row, type RowInput } from './rows';
import { message } from './testing';

const base: RowInput = { events: [], gaps: [], fromStart: false, marker: null, pending: [], you: 'u7', dayOf: (at) => new Date(at).toISOString().slice(0, 10) };
const said = (seq: number, minute: number, who = 'u8', name = 'Ann') =>
  message(seq, { by: { id: who as 'u8', name }, at: new Date(Date.UTC(2026, 10, 22, 10, minute)).toISOString() });
const happened = (type: 'member_joined' | 'member_left', seq: number, name: string): RoomEvent => ({ ...said(seq, 1, `u${name.length + 20}`, name), type });
const item = (key: string, minute: number, state: OutboxItem['state'] = 'waiting'): OutboxItem => ({
  key, room: 'r1', body: key, at: Date.UTC(2026, 10, 22, 10, minute), epoch: 'e1', state, attempt: 0, retryAt: 0,
});
const shape = (rows: Row[]) =>
  rows.map((row) => (row.kind === 'message' || row.kind === 'pending' ? `${row.key}${row.startsGroup ? ' startsGroup' : ''}` : row.kind));

describe('rows', () => {
  test('messages of one person within five minutes stand together', () => {
    const five = GROUP_INTERVAL / 60_000;
    const rows = buildRows({ ...base, events: [said(1, 0), said(2, five), said(3, 2 * five + 1), said(4, 2 * five + 2, 'u9', 'Bob')] });
    expect(shape(rows)).toEqual(['day', 's1 startsGroup', 's2', 's3 startsGroup', 's4 startsGroup']);
  });

  test('a new name begins anew', () => {
    expect(shape(buildRows({ ...base, events: [said(1, 0), said(2, 1, 'u8', 'Anna')] }))).toEqual(['day', 's1 startsGroup', 's2 startsGroup']);
  });

  test('each day is named once', () => {
    const next = { ...said(2, 0), at: '2026-11-23T10:00:00.000Z' };
    expect(shape(buildRows({ ...base, events: [said(1, 0), next], fromStart: true }))).toEqual(['start', 'day', 's1 startsGroup', 'day', 's2 startsGroup']);
  });

  test('comings and goings in a row are one line', () => {
    const rows = buildRows({ ...base, events: [said(1, 0), happened('member_joined', 2, 'Bob'), happened('member_joined', 3, 'Cleo'), said(4, 2)] });
    expect(shape(rows)).toEqual(['day', 's1 startsGroup', 'membership', 's4 startsGroup']);
  });

  test('the line "new" stands before the first new message of somebody else', () => {
    const events = [said(1, 0), said(2, 1), said(3, 1, 'u7'), said(4, 2)];
    expect(shape(buildRows({ ...base, events, marker: 1 }))).toEqual(['day', 's1 startsGroup', 'new', 's2 startsGroup', 's3 startsGroup', 's4 startsGroup']);
    expect(shape(buildRows({ ...base, events, marker: 2 }))).toEqual(['day', 's1 startsGroup', 's2', 's3 startsGroup', 'new', 's4 startsGroup']);
    expect(shape(buildRows({ ...base, events, marker: 9 }))).not.toContain('new');
  });

  test('where all that is shown is new, there is no line', () => {
    expect(shape(buildRows({ ...base, events: [said(5, 0)], marker: 1 }))).not.toContain('new');
  });

  test('what is missing shows where it is missing, also at the end', () => {
    const rows = buildRows({ ...base, events: [said(1, 0), said(5, 1)], gaps: [{ from: 2, to: 4 }, { from: 6, to: 9 }] });
    expect(shape(rows)).toEqual(['day', 's1 startsGroup', 'gap', 's5 startsGroup', 'gap']);
    expect(rows.filter((row) => row.kind === 'gap').map((row) => row.size)).toEqual([3, 4]);
  });

  test('what is on its way stands at the end, and joins one’s last group', () => {
    const rows = buildRows({ ...base, events: [said(1, 0, 'u7', '李雷')], pending: [item('a', 1), item('b', 20, 'failed')] });
    expect(shape(rows)).toEqual(['day', 's1 startsGroup', 'pa', 'pb startsGroup']);
  });

  test('a row in which nothing changed is the same row', () => {
    const events = [said(1, 0), said(2, 1), happened('member_joined', 3, 'Bob')];
    const first = buildRows({ ...base, events });
    const second = reuseRows(first, buildRows({ ...base, events: [...events, said(4, 3)] }));
    expect(second.slice(0, 4).every((row, i) => row === first[i])).toBe(true);
    const third = reuseRows(second, buildRows({ ...base, events: events.slice(1) }));
    expect(third.find((row) => row.key === 's2'), 'it startsGroup now').not.toBe(first[2]);
  });

  test('a message on its way whose state changed is another row', () => {
    const waiting = item('a', 1);
    const first = buildRows({ ...base, pending: [waiting] });
    waiting.state = 'failed';
    expect(reuseRows(first, buildRows({ ...base, pending: [waiting] })).at(-1)).not.toBe(first.at(-1));
  });
});

describe('a run of comings and goings', () => {
  const by = (id: string, name = id) => ({ id: id as 'u1', name });
  const run = (...steps: [RoomEvent['type'], string][]) =>
    summarizeMembership(steps.map(([type, id], i) => ({ type, room: 'r1', seq: i + 1, n: 0, by: by(id), at: '', old_name: 'old', body: '' }) as RoomEvent));

  test('counts each person once, by how it began and ended', () => {
    expect(run(['member_joined', 'a'], ['member_joined', 'b'], ['member_left', 'b'], ['member_left', 'c'], ['member_left', 'd'], ['member_joined', 'd'])).toEqual({
      joined: ['a'], visited: ['b'], left: ['c'], returned: ['d'], renamed: [],
    });
  });

  test('names all who joined together, and what became of each', () => {
    const together: RoomEvent = { type: 'member_joined', room: 'r1', seq: 2, n: 0, at: '', by: by('b'), also_joined: [by('c'), by('d')] };
    const left: RoomEvent = { type: 'member_left', room: 'r1', seq: 3, n: 0, at: '', by: by('c') };
    const before: RoomEvent = { ...left, seq: 1, by: by('d') };
    expect(summarizeMembership([before, together, left])).toEqual({ joined: ['b'], visited: ['c'], left: [], returned: ['d'], renamed: [] });
  });

  test('tells a new name, unless the person is new themself, or it is the old one', () => {
    expect(run(['renamed', 'a'], ['member_joined', 'b'], ['renamed', 'b'], ['renamed', 'old'])).toMatchObject({ renamed: [{ oldName: 'old', name: 'a' }], joined: ['b'] });
  });
});
