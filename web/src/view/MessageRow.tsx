import { createSignal, For, Show } from 'solid-js';
import { hueOf } from '../core/avatar';
import { isEmojiOnly, linkify } from '../core/linkify';
import type { Row } from '../core/rows';
import { Avatar } from './Avatar';
import { useApp } from './context';
import { AlertIcon, WaitIcon } from './Icons';

type RowOf<K extends Row['kind']> = Extract<Row, { kind: K }>;

/** Longer messages are collapsed. */
const LONG_CHARACTERS = 1_400;
const LONG_LINES = 18;

export function MessageRow(props: { row: RowOf<'message'> }) {
  const { t, format } = useApp();
  const { event, at, startsGroup, own } = props.row;
  const time = (short = false) => (
    <time datetime={event.at} title={format().full(at)}>{short ? format().shortTime(at) : format().time(at)}</time>
  );
  return (
    <li class="row message" classList={{ 'group-start': startsGroup, own }} data-key={props.row.key} data-seq={event.seq}>
      <div class="gutter">
        <Show when={startsGroup} fallback={time(true)}>
          <Avatar id={event.by.id} name={event.by.name} />
        </Show>
      </div>
      <div class="message-content">
        <Show when={startsGroup} fallback={<span class="sr-only">{event.by.name}</span>}>
          <p class="message-header">
            <span class="author" style={{ '--hue': String(hueOf(event.by.id)) }}><bdi>{event.by.name}</bdi></span>
            <Show when={own}><span class="tag">{t().users.you}</span></Show>
            {time()}
          </p>
        </Show>
        <Body text={event.body} />
      </div>
    </li>
  );
}

/** The user's own message until its event arrives. */
export function PendingRow(props: { row: RowOf<'pending'> }) {
  const { app, t, errorText } = useApp();
  const { item, state, code, startsGroup } = props.row;
  const you = app.chat.you;
  const needsDecision = state === 'failed' || state === 'held';
  const label = () => {
    if (state === 'failed') return t().sending.failed({ why: errorText(code ?? 'internal') });
    if (state === 'held') return t().sending.held;
    if (state === 'waiting') return code ? t().sending.rejected({ why: errorText(code) }) : t().sending.waiting;
    return t().sending.sending;
  };
  return (
    <li class="row message pending" classList={{ 'group-start': startsGroup, own: true, [state]: true }} data-key={props.row.key} data-state={state}>
      <div class="gutter">
        <Show when={startsGroup && you}>{(user) => <Avatar id={user().id} name={user().name} />}</Show>
      </div>
      <div class="message-content">
        <Show when={startsGroup && you} fallback={<span class="sr-only">{you?.name}</span>}>
          {(user) => (
            <p class="message-header">
              <span class="author" style={{ '--hue': String(hueOf(user().id)) }}><bdi>{user().name}</bdi></span>
              <span class="tag">{t().users.you}</span>
            </p>
          )}
        </Show>
        <Body text={item.body} />
        <p class="sending">
          {needsDecision ? <AlertIcon /> : <WaitIcon />}
          <span>{label()}</span>
          <Show when={needsDecision}>
            <button type="button" class="text-button" onClick={() => app.retry(item.key)}>{t().sending.retry}</button>
            <button type="button" class="text-button" onClick={() => app.discard(item.key)}>{t().sending.discard}</button>
          </Show>
        </p>
      </div>
    </li>
  );
}

/** A message body as text and links. Nodes only, never markup. */
function Body(props: { text: string }) {
  const { t } = useApp();
  const long = props.text.length > LONG_CHARACTERS || props.text.split('\n', LONG_LINES + 1).length > LONG_LINES;
  const [open, setOpen] = createSignal(false);
  return (
    <>
      <p class="body" classList={{ large: isEmojiOnly(props.text), folded: long && !open() }} dir="auto">
        <For each={linkify(props.text)}>
          {(segment) =>
            'href' in segment ? (
              <a href={segment.href} target="_blank" rel="noopener noreferrer nofollow">{segment.text}</a>
            ) : (
              segment.text
            )
          }
        </For>
      </p>
      <Show when={long}>
        <button type="button" class="text-button" aria-expanded={open()} onClick={() => setOpen(!open())}>
          {open() ? t().chat.less : t().chat.more}
        </button>
      </Show>
    </>
  );
}
