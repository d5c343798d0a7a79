import { createSignal, Show } from 'solid-js';
import { USER_NAME_CHARS, userName } from '../protocol/names';
import { Avatar } from './Avatar';
import { useApp } from './context';
import { Dialog } from './Dialog';
import { LanguageSwitch, ThemeSwitch } from './Switches';

/** Name, language, theme, help and logout. */
export function Settings() {
  const ctx = useApp();
  const you = ctx.select(() => ctx.app.chat.you?.name ?? '');
  return (
    <Dialog which="settings" title={ctx.t().menu.title({ name: you() })}>
      <SettingsForm name={you()} />
    </Dialog>
  );
}

function SettingsForm(props: { name: string }) {
  const ctx = useApp();
  const { app, t } = ctx;
  const [name, setName] = createSignal(props.name);
  const [error, setError] = createSignal('');
  const [confirming, setConfirming] = createSignal(false);
  const id = app.chat.you?.id ?? '';

  const rename = (event: SubmitEvent) => {
    event.preventDefault();
    const checked = userName(name());
    if (!checked.ok) setError(ctx.userNameError(checked.why));
    else if (checked.name !== props.name && !app.rename(checked.name)) setError(t().connection.not_now);
    else ctx.setDialog(null);
  };
  const logout = async () => {
    ctx.setDialog(null);
    if (!(await app.deleteSession())) ctx.notify(t().connection.not_now, true);
  };

  return (
    <div class="settings">
      <form onSubmit={rename} novalidate>
        <label for="new-name">{t().menu.name}</label>
        <div class="name-row">
          <Avatar id={id} name={name() || props.name} />
          <input
            id="new-name"
            type="text"
            autocomplete="nickname"
            spellcheck={false}
            maxlength={USER_NAME_CHARS * 4}
            value={name()}
            aria-invalid={error() !== ''}
            aria-describedby={error() !== '' ? 'new-name-error' : undefined}
            onInput={(event) => {
              setName(event.currentTarget.value);
              setError('');
            }}
          />
          <button type="submit" class="primary">{t().menu.rename}</button>
        </div>
        <Show when={error() !== ''}>
          <p class="error" id="new-name-error" role="alert">{error()}</p>
        </Show>
      </form>
      <div class="setting">
        <h3>{t().menu.language}</h3>
        <LanguageSwitch />
      </div>
      <div class="setting">
        <h3>{t().menu.theme}</h3>
        <ThemeSwitch />
      </div>
      <div class="settings-footer">
        <Show
          when={confirming()}
          fallback={
            <>
              <button type="button" class="text-button" onClick={() => ctx.setDialog('help')}>{t().menu.help}</button>
              <button type="button" class="text-button danger" onClick={() => setConfirming(true)}>{t().menu.logout}</button>
            </>
          }
        >
          <p>{t().menu.logout_confirm}</p>
          <button type="button" class="secondary" onClick={() => setConfirming(false)}>{t().menu.logout_no}</button>
          <button type="button" class="primary danger" onClick={() => void logout()}>{t().menu.logout_yes}</button>
        </Show>
      </div>
    </div>
  );
}
