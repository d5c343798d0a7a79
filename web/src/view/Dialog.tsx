import { createEffect, type JSX, onMount, Show } from 'solid-js';
import { useApp } from './context';
import { CloseIcon } from './Icons';

/** A modal dialog. The native element keeps the focus inside and closes on Esc. */
export function Dialog(props: { which: 'settings' | 'help'; title: string; children: JSX.Element }) {
  const { dialog, setDialog, t } = useApp();
  let element!: HTMLDialogElement;
  const shown = () => dialog() === props.which;
  onMount(() =>
    createEffect(() => {
      if (shown() && !element.open) element.showModal();
      else if (!shown() && element.open) element.close();
    }),
  );
  return (
    <dialog
      ref={element}
      class="dialog"
      aria-label={props.title}
      onClose={() => {
        if (shown()) setDialog(null);
      }}
      onClick={(event) => {
        if (event.target === element) setDialog(null);
      }}
    >
      <div class="dialog-content">
        <header>
          <h2>{props.title}</h2>
          <button type="button" class="icon-button" aria-label={t().menu.close} onClick={() => setDialog(null)}>
            <CloseIcon />
          </button>
        </header>
        <Show when={shown()}>{props.children}</Show>
      </div>
    </dialog>
  );
}
