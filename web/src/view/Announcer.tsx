import { createEffect, createSignal, For } from 'solid-js';
import { useApp } from './context';

/** Above this number, only the count is announced. */
const MAX_ANNOUNCED = 3;
const MAX_LINES = 6;

/**
 * A live region that announces new messages to screen readers. The list itself is no live region: loading history or scrolling
 * would be read out as new.
 */
export function Announcer() {
  const { app, t } = useApp();
  const [lines, setLines] = createSignal<readonly { text: string }[]>([]);
  createEffect(() => {
    void app.revision;
    const events = app.chat.announcements.splice(0);
    if (events.length === 0) return;
    const added =
      events.length > MAX_ANNOUNCED
        ? [{ text: t().chat.announce_many({ n: events.length }) }]
        : events.flatMap((event) => (event.type === 'message' ? [{ text: t().chat.announce({ name: event.by.name, text: event.body }) }] : []));
    setLines((lines) => [...lines, ...added].slice(-MAX_LINES));
  });
  return (
    <div class="sr-only" role="log" aria-live="polite" aria-relevant="additions" aria-label={t().chat.new_line}>
      <For each={lines()}>{(line) => <p>{line.text}</p>}</For>
    </div>
  );
}
