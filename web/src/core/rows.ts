import type { MessageEvent, RoomEvent, Seq, UserId } from '../protocol/types';
import { sizeOf } from './fetching';
import type { Item } from './outbox';
import { type Quiet, sumUp } from './quiet';
import type { Span } from './room-log';

/** Messages of one person stand together if no more than this lies between two of them. */
export const GROUP_WITHIN = 5 * 60_000;

/** One row of the talk. `key` is stable, so that the page knows where it was when rows come before it. */
export type Row =
  | { is: 'start'; key: string }
  | { is: 'day'; key: string; at: number }
  | { is: 'new'; key: string }
  | { is: 'hole'; key: string; from: Seq; to: Seq; size: number }
  | { is: 'quiet'; key: string; at: number; quiet: Quiet }
  | { is: 'message'; key: string; event: MessageEvent; at: number; leads: boolean; own: boolean }
  | { is: 'pending'; key: string; item: Item; state: Item['state']; code: Item['code']; leads: boolean };

export interface Talk {
  events: readonly RoomEvent[];
  holes: readonly Span[];
  /** The room's first event is the first of `events`. */
  fromStart: boolean;
  marker: Seq | null;
  pending: readonly Item[];
  you: UserId | null;
  /** Names the local day of a moment. */
  dayOf: (at: number) => string;
}

/** Lays out a stretch of a room as rows. */
export function layOut(talk: Talk): Row[] {
  const rows: Row[] = [];
  let day = '';
  let run: RoomEvent[] = [];
  let last: { by: UserId; name: string; at: number } | null = null;
  let markerStands = talk.marker === null;
  let hole = 0;

  const flush = () => {
    if (run.length === 0) return;
    const quiet = sumUp(run);
    const first = run[0]!;
    if (Object.values(quiet).some((list) => list.length > 0)) {
      rows.push({ is: 'quiet', key: `q${first.seq}`, at: Date.parse(first.at), quiet });
      last = null;
    }
    run = [];
  };
  const enterDay = (at: number) => {
    const name = talk.dayOf(at);
    if (name === day) return;
    flush();
    day = name;
    last = null;
    rows.push({ is: 'day', key: `d${name}`, at });
  };
  const passHoles = (before: Seq) => {
    for (; hole < talk.holes.length && talk.holes[hole]!.from < before; hole++) {
      flush();
      last = null;
      const { from, to } = talk.holes[hole]!;
      rows.push({ is: 'hole', key: `g${to}`, from, to, size: sizeOf(talk.holes[hole]!) });
    }
  };

  if (talk.fromStart) rows.push({ is: 'start', key: 'start' });
  const first = talk.events[0]?.seq ?? 0;
  while (hole < talk.holes.length && talk.holes[hole]!.to < first) hole += 1;
  for (const event of talk.events) {
    passHoles(event.seq);
    const at = Date.parse(event.at);
    enterDay(at);
    if (event.type !== 'message') {
      run.push(event);
      continue;
    }
    const own = event.by.id === talk.you;
    if (!markerStands && event.seq > talk.marker! && !own) {
      flush();
      last = null;
      markerStands = true;
      // Where the line stands at the very top, everything is new and it would say nothing.
      if (event.seq > first) rows.push({ is: 'new', key: 'new' });
    }
    flush();
    const leads: boolean = !last || last.by !== event.by.id || last.name !== event.by.name || at - last.at > GROUP_WITHIN;
    rows.push({ is: 'message', key: `s${event.seq}`, event, at, leads, own });
    last = { by: event.by.id, name: event.by.name, at };
  }
  passHoles(Infinity);
  flush();
  for (const item of talk.pending) {
    enterDay(item.at);
    const leads: boolean = !last || last.by !== talk.you || item.at - last.at > GROUP_WITHIN;
    rows.push({ is: 'pending', key: `p${item.key}`, item, state: item.state, code: item.code, leads });
    last = { by: talk.you!, name: last?.name ?? '', at: item.at };
  }
  return rows;
}

/** Keeps the row objects of the last time where nothing about them changed: the screen redraws by identity. */
export function keepSame(before: readonly Row[], after: Row[]): Row[] {
  const old = new Map(before.map((row) => [row.key, row]));
  return after.map((row) => {
    const was = old.get(row.key);
    return was && same(was, row) ? was : row;
  });
}

function same(a: Row, b: Row): boolean {
  if (a.is === 'quiet' || b.is === 'quiet') return a.is === b.is && JSON.stringify(a) === JSON.stringify(b);
  const left = a as unknown as Record<string, unknown>;
  const right = b as unknown as Record<string, unknown>;
  return Object.keys(right).every((key) => left[key] === right[key]);
}
