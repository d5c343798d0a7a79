import type { MessageEvent, RoomEvent, Seq, UserId } from '../protocol/types';
import { rangeSize } from './backfill';
import { isMembership, type MembershipEvent, type MembershipSummary, summarizeMembership } from './membership-summary';
import type { OutboxItem } from './outbox';
import type { SeqRange } from './room-log';

/** Consecutive messages of one user within this interval form a group. */
export const GROUP_INTERVAL = 5 * 60_000;

/** One row of the message list. `key` is stable, so that the view can keep the scroll position. */
export type Row =
  | { kind: 'start'; key: string }
  | { kind: 'day'; key: string; at: number }
  | { kind: 'new'; key: string }
  | { kind: 'gap'; key: string; from: Seq; to: Seq; size: number }
  | { kind: 'membership'; key: string; at: number; summary: MembershipSummary }
  | { kind: 'event'; key: string; at: number; event: RoomEvent }
  | { kind: 'message'; key: string; event: MessageEvent; at: number; startsGroup: boolean; own: boolean }
  | { kind: 'pending'; key: string; item: OutboxItem; state: OutboxItem['state']; code: OutboxItem['code']; startsGroup: boolean };

export interface RowInput {
  events: readonly RoomEvent[];
  gaps: readonly SeqRange[];
  /** Whether the first event of the room is the first of `events`. */
  fromStart: boolean;
  marker: Seq | null;
  pending: readonly OutboxItem[];
  you: UserId | null;
  /** Returns the local day of a time. */
  dayOf: (at: number) => string;
}

/** Builds the rows for a window of a room. */
export function buildRows(input: RowInput): Row[] {
  const rows: Row[] = [];
  let day = '';
  let run: MembershipEvent[] = [];
  let last: { by: UserId; name: string; at: number } | null = null;
  let markerPlaced = input.marker === null;
  let nextGap = 0;

  const flush = () => {
    if (run.length === 0) return;
    const summary = summarizeMembership(run);
    const first = run[0]!;
    if (Object.values(summary).some((list) => list.length > 0)) {
      rows.push({ kind: 'membership', key: `q${first.seq}`, at: Date.parse(first.at), summary });
      last = null;
    }
    run = [];
  };
  const enterDay = (at: number) => {
    const name = input.dayOf(at);
    if (name === day) return;
    flush();
    day = name;
    last = null;
    rows.push({ kind: 'day', key: `d${name}`, at });
  };
  const addGaps = (before: Seq) => {
    for (; nextGap < input.gaps.length && input.gaps[nextGap]!.from < before; nextGap++) {
      flush();
      last = null;
      const { from, to } = input.gaps[nextGap]!;
      rows.push({ kind: 'gap', key: `g${to}`, from, to, size: rangeSize(input.gaps[nextGap]!) });
    }
  };

  if (input.fromStart) rows.push({ kind: 'start', key: 'start' });
  const first = input.events[0]?.seq ?? 0;
  while (nextGap < input.gaps.length && input.gaps[nextGap]!.to < first) nextGap += 1;
  for (const event of input.events) {
    addGaps(event.seq);
    const at = Date.parse(event.at);
    enterDay(at);
    if (isMembership(event)) {
      run.push(event);
      continue;
    }
    if (event.type === 'unknown') continue;
    if (event.type !== 'message') {
      flush();
      last = null;
      rows.push({ kind: 'event', key: `e${(event as RoomEvent).seq}`, at, event });
      continue;
    }
    const own = event.by.id === input.you;
    if (!markerPlaced && event.seq > input.marker! && !own) {
      flush();
      last = null;
      markerPlaced = true;
      // At the very top everything is new, and the marker would carry no information.
      if (event.seq > first) rows.push({ kind: 'new', key: 'new' });
    }
    flush();
    const startsGroup: boolean = !last || last.by !== event.by.id || last.name !== event.by.name || at - last.at > GROUP_INTERVAL;
    rows.push({ kind: 'message', key: `s${event.seq}`, event, at, startsGroup, own });
    last = { by: event.by.id, name: event.by.name, at };
  }
  addGaps(Infinity);
  flush();
  for (const item of input.pending) {
    enterDay(item.at);
    const startsGroup: boolean = !last || last.by !== input.you || item.at - last.at > GROUP_INTERVAL;
    rows.push({ kind: 'pending', key: `p${item.key}`, item, state: item.state, code: item.code, startsGroup });
    last = { by: input.you!, name: last?.name ?? '', at: item.at };
  }
  return rows;
}

/** Reuses the previous objects of unchanged rows: the view renders by identity. */
export function reuseRows(before: readonly Row[], after: Row[]): Row[] {
  const old = new Map(before.map((row) => [row.key, row]));
  return after.map((row) => {
    const was = old.get(row.key);
    return was && same(was, row) ? was : row;
  });
}

function same(a: Row, b: Row): boolean {
  if (a.kind === 'membership' || b.kind === 'membership') return a.kind === b.kind && JSON.stringify(a) === JSON.stringify(b);
  const left = a as unknown as Record<string, unknown>;
  const right = b as unknown as Record<string, unknown>;
  return Object.keys(right).every((key) => left[key] === right[key]);
}
