import { For } from 'solid-js';
import { useApp } from './context';
import { CloseIcon } from './Icons';

/** Short-lived notifications. */
export function Toasts() {
  const { toasts, dismiss, t } = useApp();
  return (
    <div class="toasts" role="status" aria-live="polite">
      <For each={toasts()}>
        {(toast) => (
          <div class="toast" classList={{ urgent: toast.urgent }}>
            <p>{toast.text}</p>
            <button type="button" class="icon-button" aria-label={t().notice.dismiss} onClick={() => dismiss(toast.id)}>
              <CloseIcon />
            </button>
          </div>
        )}
      </For>
    </div>
  );
}
