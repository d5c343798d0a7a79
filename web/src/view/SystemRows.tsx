import { createSignal, onCleanup } from 'solid-js';
import type { Row } from '../core/rows';
import { useApp } from './context';
import { eventText } from './eventText';
import { Logo } from './Icons';
import { membershipText } from './membershipText';

type RowOf<K extends Row['kind']> = Extract<Row, { kind: K }>;

/** Names the day. "Today" becomes "Yesterday" at midnight. */
export function DayRow(props: { row: RowOf<'day'> }) {
  const { format } = useApp();
  const [now, setNow] = createSignal(Date.now());
  const midnight = new Date().setHours(24, 0, 1, 0);
  const timer = setTimeout(() => setNow(Date.now()), midnight - Date.now());
  onCleanup(() => clearTimeout(timer));
  return (
    <li class="row day" data-key={props.row.key}>
      <span>{format().day(props.row.at, now())}</span>
    </li>
  );
}

export function NewRow() {
  const { t } = useApp();
  return (
    <li class="row unread-marker" data-key="new">
      <span>{t().chat.new_line}</span>
    </li>
  );
}

export function StartRow() {
  const { app, t } = useApp();
  return (
    <li class="row start" data-key="start">
      <Logo />
      <p>{t().chat.begins({ room: `#${app.chat.activeRoom?.name ?? ''}` })}</p>
    </li>
  );
}

export function GapRow(props: { row: RowOf<'gap'> }) {
  const { app, t, format, select } = useApp();
  const busy = select(() => app.chat.activeRoom?.fetching !== null);
  return (
    <li class="row gap" data-key={props.row.key}>
      <span>{busy() ? t().chat.loading : t().chat.missing({ n: format().number(props.row.size) })}</span>
      <button type="button" class="text-button" disabled={busy()} onClick={() => app.fetchGap(props.row.to)}>
        {t().chat.load}
      </button>
    </li>
  );
}

/** An event that has no view of its own. */
export function EventRow(props: { row: RowOf<'event'> }) {
  const ctx = useApp();
  return (
    <li class="row membership" data-key={props.row.key}>
      <span>{eventText(props.row.event, ctx.t())}</span>
      <time datetime={new Date(props.row.at).toISOString()}>{ctx.format().time(props.row.at)}</time>
    </li>
  );
}

export function MembershipRow(props: { row: RowOf<'membership'> }) {
  const ctx = useApp();
  return (
    <li class="row membership" data-key={props.row.key}>
      <span>{membershipText(props.row.summary, ctx.t(), ctx.format())}</span>
      <time datetime={new Date(props.row.at).toISOString()}>{ctx.format().time(props.row.at)}</time>
    </li>
  );
}
