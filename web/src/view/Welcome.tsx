import { createSignal, onMount, Show } from 'solid-js';
import { USER_NAME_CHARS, userName } from '../protocol/names';
import { recall } from '../shell/storage';
import { useHouse } from './context';
import { Logo } from './Icons';
import { LanguageSwitch, ThemeSwitch } from './Switches';

/** The door: who are you? */
export function Welcome() {
  const house = useHouse();
  const { app, t } = house;
  const [name, setName] = createSignal(recall('name') ?? '');
  const [fault, setFault] = createSignal<(() => string) | null>(null);
  const [busy, setBusy] = createSignal(false);
  let input!: HTMLInputElement;
  onMount(() => input.focus());

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy()) return;
    const checked = userName(name());
    if (!checked.ok) {
      setFault(() => () => house.userFault(checked.why));
      input.focus();
      return;
    }
    setBusy(true);
    setFault(null);
    const failed = await app.comeIn(checked.name);
    setBusy(false);
    if (failed === null) return;
    setFault(() => () => (failed === 'unreachable' ? t().welcome.unreachable : failed === 'invalid_name' ? t().name.userCharacter : house.errorText(failed)));
  };

  return (
    <main class="welcome">
      <div class="welcome-card">
        <Logo steam />
        <h1 class="wordmark">{t().app.name}</h1>
        <p class="tagline">{t().app.tagline}</p>
        <Show when={app.ended}>
          <p class="ended" role="status">{t().welcome.ended}</p>
        </Show>
        <form onSubmit={submit} novalidate>
          <label for="name">{t().welcome.name}</label>
          <div class="name-row">
            <input
              ref={input}
              id="name"
              name="name"
              type="text"
              autocomplete="nickname"
              autocapitalize="words"
              spellcheck={false}
              enterkeyhint="go"
              maxlength={USER_NAME_CHARS * 4}
              placeholder={t().welcome.placeholder}
              value={name()}
              onInput={(event) => {
                setName(event.currentTarget.value);
                setFault(null);
              }}
              aria-invalid={fault() !== null}
              aria-describedby={fault() ? 'name-fault' : 'name-note'}
            />
            <button type="submit" class="primary" disabled={busy()}>
              {busy() ? t().welcome.entering : t().welcome.enter}
            </button>
          </div>
          <Show when={fault()} fallback={<p class="note" id="name-note">{t().welcome.note}</p>}>
            {(text) => <p class="fault" id="name-fault" role="alert">{text()()}</p>}
          </Show>
        </form>
      </div>
      <footer class="welcome-foot">
        <LanguageSwitch />
        <ThemeSwitch />
      </footer>
    </main>
  );
}
