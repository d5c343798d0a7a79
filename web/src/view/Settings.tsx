import { createSignal, Show } from 'solid-js';
import { USER_NAME_CHARS, userName } from '../protocol/names';
import { Avatar } from './Avatar';
import { useHouse } from './context';
import { Dialog } from './Dialog';
import { LanguageSwitch, ThemeSwitch } from './Switches';

/** One's name, the language, the look, and the way out. */
export function Settings() {
  const house = useHouse();
  const you = house.live(() => house.app.chat.you?.name ?? '');
  return (
    <Dialog which="settings" title={house.t().menu.title(you())}>
      <Inside name={you()} />
    </Dialog>
  );
}

function Inside(props: { name: string }) {
  const house = useHouse();
  const { app, t } = house;
  const [name, setName] = createSignal(props.name);
  const [fault, setFault] = createSignal('');
  const [sure, setSure] = createSignal(false);
  const id = app.chat.you?.id ?? '';

  const rename = (event: SubmitEvent) => {
    event.preventDefault();
    const checked = userName(name());
    if (!checked.ok) setFault(house.userFault(checked.why));
    else if (checked.name !== props.name && !app.rename(checked.name)) setFault(t().connection.notNow);
    else house.setDialog(null);
  };
  const quit = async () => {
    house.setDialog(null);
    if (!(await app.goAway())) house.tell(t().connection.notNow, true);
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
            aria-invalid={fault() !== ''}
            aria-describedby={fault() !== '' ? 'new-name-fault' : undefined}
            onInput={(event) => {
              setName(event.currentTarget.value);
              setFault('');
            }}
          />
          <button type="submit" class="primary">{t().menu.rename}</button>
        </div>
        <Show when={fault() !== ''}>
          <p class="fault" id="new-name-fault" role="alert">{fault()}</p>
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
      <div class="settings-foot">
        <Show
          when={sure()}
          fallback={
            <>
              <button type="button" class="text-button" onClick={() => house.setDialog('help')}>{t().menu.help}</button>
              <button type="button" class="text-button danger" onClick={() => setSure(true)}>{t().menu.quit}</button>
            </>
          }
        >
          <p>{t().menu.quitSure}</p>
          <button type="button" class="plain" onClick={() => setSure(false)}>{t().menu.quitNo}</button>
          <button type="button" class="primary danger" onClick={() => void quit()}>{t().menu.quitYes}</button>
        </Show>
      </div>
    </div>
  );
}
