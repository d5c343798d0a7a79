import { createSignal, onCleanup } from 'solid-js';
import type { Row } from '../core/rows';
import { useHouse } from './context';
import { Logo } from './Icons';
import { quietText } from './quietText';

type RowOf<K extends Row['is']> = Extract<Row, { is: K }>;

/** Names the day. "Today" becomes "Yesterday" at midnight. */
export function DayRow(props: { row: RowOf<'day'> }) {
  const { format } = useHouse();
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
  const { t } = useHouse();
  return (
    <li class="row new-line" data-key="new">
      <span>{t().talk.newLine}</span>
    </li>
  );
}

export function StartRow() {
  const { app, t } = useHouse();
  return (
    <li class="row start" data-key="start">
      <Logo />
      <p>{t().talk.begins(`#${app.chat.activeRoom?.name ?? ''}`)}</p>
    </li>
  );
}

export function HoleRow(props: { row: RowOf<'hole'> }) {
  const { app, t, format, live } = useHouse();
  const busy = live(() => app.chat.activeRoom?.fetching !== null);
  return (
    <li class="row hole" data-key={props.row.key}>
      <span>{busy() ? t().talk.loading : t().talk.missing(format().number(props.row.size))}</span>
      <button type="button" class="text-button" disabled={busy()} onClick={() => app.pullHole(props.row.to)}>
        {t().talk.load}
      </button>
    </li>
  );
}

export function QuietRow(props: { row: RowOf<'quiet'> }) {
  const house = useHouse();
  return (
    <li class="row quiet" data-key={props.row.key}>
      <span>{quietText(props.row.quiet, house.t(), house.format())}</span>
      <time datetime={new Date(props.row.at).toISOString()}>{house.format().time(props.row.at)}</time>
    </li>
  );
}
