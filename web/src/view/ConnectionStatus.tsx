import { createEffect, createSignal, onCleanup, Show } from 'solid-js';
import { useApp } from './context';

/** Hides interruptions shorter than an ordinary reconnect. */
const SHOW_DELAY = 700;

/** The state of the connection, unless it is ready. */
export function ConnectionStatus() {
  const { app, t, select } = useApp();
  const [now, setNow] = createSignal(app.now());
  const state = select(() => {
    const { phase, online } = app.connection;
    if (phase.kind === 'ready' || phase.kind === 'idle') return 'ready';
    if (phase.kind === 'stopped') return 'stopped';
    if (!online) return 'offline';
    return phase.kind;
  });
  const until = select(() => (app.connection.phase.kind === 'waiting' ? app.connection.phase.until : 0));
  const interrupted = () => state() !== 'ready';
  const [shown, setShown] = createSignal(false);

  createEffect(() => {
    if (!interrupted()) {
      setShown(false);
      return;
    }
    const timer = setTimeout(() => setShown(true), SHOW_DELAY);
    const clock = setInterval(() => setNow(app.now()), 500);
    onCleanup(() => {
      clearTimeout(timer);
      clearInterval(clock);
    });
  });

  const text = () => {
    switch (state()) {
      case 'offline':
        return t().connection.offline;
      case 'stopped':
        return t().connection.stopped;
      case 'waiting': {
        const seconds = Math.ceil((until() - now()) / 1000);
        return seconds > 0 ? t().connection.waiting({ seconds }) : t().connection.retrying;
      }
      default:
        return t().connection.connecting;
    }
  };

  return (
    <div class="connection-slot" role="status">
      <Show when={interrupted() && shown()}>
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
