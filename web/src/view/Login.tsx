import { createSignal, onMount, Show } from 'solid-js';
import { USER_NAME_CHARS, userName } from '../protocol/names';
import { loadPreference } from '../shell/storage';
import { useApp } from './context';
import { Logo } from './Icons';
import { LanguageSwitch, ThemeSwitch } from './Switches';

/** The login screen: a form for the name of a guest. */
export function Login() {
  const ctx = useApp();
  const { app, t } = ctx;
  const [name, setName] = createSignal(loadPreference('name') ?? '');
  const [error, setError] = createSignal<(() => string) | null>(null);
  const [busy, setBusy] = createSignal(false);
  let input!: HTMLInputElement;
  onMount(() => input.focus());

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy()) return;
    const checked = userName(name());
    if (!checked.ok) {
      setError(() => () => ctx.userNameError(checked.why));
      input.focus();
      return;
    }
    setBusy(true);
    setError(null);
    const failed = await app.createSession(checked.name);
    setBusy(false);
    if (failed === null) return;
    setError(() => () => (failed === 'unreachable' ? t().login.unreachable : failed === 'invalid_name' ? t().name.user_character : ctx.errorText(failed)));
  };

  return (
    <main class="login">
      <div class="login-card">
        <Logo steam />
        <h1 class="wordmark">{t().app.name}</h1>
        <p class="tagline">{t().app.tagline}</p>
        <Show when={app.sessionEnded}>
          <p class="session-ended" role="status">{t().login.ended}</p>
        </Show>
        <form onSubmit={submit} novalidate>
          <label for="name">{t().login.name}</label>
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
              placeholder={t().login.placeholder}
              value={name()}
              onInput={(event) => {
                setName(event.currentTarget.value);
                setError(null);
              }}
              aria-invalid={error() !== null}
              aria-describedby={error() ? 'name-error' : 'name-note'}
            />
            <button type="submit" class="primary" disabled={busy()}>
              {busy() ? t().login.entering : t().login.enter}
            </button>
          </div>
          <Show when={error()} fallback={<p class="note" id="name-note">{t().login.note}</p>}>
            {(text) => <p class="error" id="name-error" role="alert">{text()()}</p>}
          </Show>
        </form>
      </div>
      <footer class="login-footer">
        <LanguageSwitch />
        <ThemeSwitch />
      </footer>
    </main>
  );
}
