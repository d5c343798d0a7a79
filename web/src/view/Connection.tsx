import { createEffect, createSignal, onCleanup, Show } from 'solid-js';
import { useHouse } from './context';

/** Says nothing while all is well, nor in the blink of an eye that an ordinary connection takes. */
const QUIET_FOR = 700;

/** The state of the connection, where it is worth a word. */
export function Connection() {
  const { app, t, live } = useHouse();
  const [now, setNow] = createSignal(app.now());
  const state = live(() => {
    const { phase, online } = app.link;
    if (phase.is === 'ready' || phase.is === 'idle') return 'ready';
    if (phase.is === 'stopped') return 'stopped';
    if (!online) return 'offline';
    return phase.is;
  });
  const until = live(() => (app.link.phase.is === 'waiting' ? app.link.phase.until : 0));
  const troubled = () => state() !== 'ready';
  const [shown, setShown] = createSignal(false);

  createEffect(() => {
    if (!troubled()) {
      setShown(false);
      return;
    }
    const soon = setTimeout(() => setShown(true), QUIET_FOR);
    const clock = setInterval(() => setNow(app.now()), 500);
    onCleanup(() => {
      clearTimeout(soon);
      clearInterval(clock);
    });
  });

  const text = () => {
    switch (state()) {
      case 'offline':
        return t().connection.offline;
      case 'stopped':
        return t().connection.stopped;
      case 'waiting':
        return t().connection.waiting(Math.max(0, Math.ceil((until() - now()) / 1000)));
      default:
        return t().connection.connecting;
    }
  };

  return (
    <div class="connection-place" role="status">
      <Show when={troubled() && shown()}>
        <div class="connection" classList={{ [state()]: true }}>
          <span class="connection-mark" aria-hidden="true" />
          <span>{text()}</span>
          <Show when={state() === 'waiting' || state() === 'offline'}>
            <button type="button" class="text-button" onClick={() => app.reconnectNow()}>{t().connection.now}</button>
          </Show>
          <Show when={state() === 'stopped'}>
            <button type="button" class="text-button" onClick={() => location.reload()}>{t().connection.reload}</button>
          </Show>
        </div>
      </Show>
    </div>
  );
}
