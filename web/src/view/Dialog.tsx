import { createEffect, type JSX, onMount, Show } from 'solid-js';
import { useHouse } from './context';
import { CloseIcon } from './Icons';

/** A modal sheet: the browser's own dialog keeps the focus inside and closes on Esc. */
export function Dialog(props: { which: 'settings' | 'help'; title: string; children: JSX.Element }) {
  const { dialog, setDialog, t } = useHouse();
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
      class="sheet"
      aria-label={props.title}
      onClose={() => {
        if (shown()) setDialog(null);
      }}
      onClick={(event) => {
        if (event.target === element) setDialog(null);
      }}
    >
      <div class="sheet-inside">
        <header>
          <h2>{props.title}</h2>
          <button type="button" class="quiet-button" aria-label={t().menu.close} onClick={() => setDialog(null)}>
            <CloseIcon />
          </button>
        </header>
        <Show when={shown()}>{props.children}</Show>
      </div>
    </dialog>
  );
}
