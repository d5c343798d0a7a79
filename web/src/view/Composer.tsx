import { createMemo, createSignal, For, onMount, Show } from 'solid-js';
import { enterSends } from '../core/composing';
import { commandsLike, parseLine } from '../core/slash';
import { utf8Bytes } from '../protocol/encode';
import { LOBBY, roomKey, roomName, userName } from '../protocol/names';
import type { RoomId } from '../protocol/types';
import { draft, keepDraft } from '../shell/storage';
import { useHouse } from './context';
import { SendIcon } from './Icons';

/** The bytes that are left are told from here on. */
const NEAR_LIMIT = 400;
/** The composer grows up to this part of the screen. */
const TALLEST = 0.4;

/** Where one speaks. Keyed by room: each room has its own draft. */
export function Composer(props: { room: RoomId }) {
  const house = useHouse();
  const { app, t } = house;
  const you = app.chat.you!.id;
  const [text, setText] = createSignal(draft(you, props.room));
  const [fault, setFault] = createSignal('');
  let area!: HTMLTextAreaElement;
  let compositionEnded = false;

  const name = house.live(() => `#${app.chat.room(props.room)?.name ?? ''}`);
  const limit = house.live(() => app.chat.limits.body_bytes);
  const left = createMemo(() => limit() - utf8Bytes(text()));
  const offered = createMemo(() => commandsLike(text()));
  const sendable = () => text().trim() !== '' && left() >= 0;

  const resize = () => {
    area.style.height = 'auto';
    area.style.height = `${Math.min(area.scrollHeight, window.innerHeight * TALLEST)}px`;
  };
  const write = (next: string) => {
    setText(next);
    setFault('');
    keepDraft(you, props.room, next);
    if (area.value !== next) area.value = next;
    resize();
  };
  onMount(() => {
    area.value = text();
    resize();
    // On a touch screen the focus would open the keyboard over what one came to read.
    if (!matchMedia('(pointer: coarse)').matches && house.drawer() === null) area.focus({ preventScroll: true });
  });

  /** Does what the line says. False: it stays, and the person is told why. */
  const carryOut = (): boolean => {
    const line = parseLine(text());
    switch (line.is) {
      case 'say':
        // What hangs on at the end, a stray Enter above all, was not meant.
        app.say(props.room, line.text.trimEnd());
        return true;
      case 'join': {
        const checked = roomName(line.room);
        if (!checked.ok) setFault(house.roomFault(checked.why));
        else app.go(checked.name);
        return checked.ok;
      }
      case 'name': {
        const checked = userName(line.name);
        if (!checked.ok) setFault(house.userFault(checked.why));
        else if (!app.rename(checked.name)) setFault(t().connection.notNow);
        else return true;
        return false;
      }
      case 'leave':
        if (roomKey(name()) === `#${LOBBY}`) setFault(t().rooms.lobbyStays);
        else if (!app.leave()) setFault(t().connection.notNow);
        else return true;
        return false;
      case 'who':
        if (house.slim()) house.setDrawer('people');
        else house.setPanel(true);
        return true;
      case 'rooms':
        if (house.narrow()) house.setDrawer('rooms');
        else document.getElementById('finder')?.focus();
        return true;
      case 'help':
        house.setDialog('help');
        return true;
      case 'incomplete':
        setFault(line.command === 'join' ? t().slash.needsRoom : t().slash.needsName);
        return false;
      case 'unknown':
        setFault(t().slash.unknown(line.word));
        return false;
    }
  };
  const send = () => {
    if (!sendable()) return;
    if (carryOut()) write('');
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (enterSends(event, compositionEnded)) {
      event.preventDefault();
      send();
    } else if (event.key === 'Tab' && !event.shiftKey && offered().length > 0 && text() !== '/') {
      event.preventDefault();
      complete(offered()[0]!);
    }
  };
  const complete = (command: string) => {
    write(`/${command}${command === 'join' || command === 'name' ? ' ' : ''}`);
    area.focus();
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
        area.focus();
      }}
    >
      <Show when={offered().length > 0}>
        <ul class="offers" aria-label={t().composer.commands}>
          <For each={offered()}>
            {(command) => (
              <li>
                <button type="button" onClick={() => complete(command)}>
                  <code>{`/${command}`}</code>
                  <span>{t().slash[command]}</span>
                </button>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <Show when={fault() !== ''}>
        <p class="composer-fault" role="alert" id="composer-fault">{fault()}</p>
      </Show>
      <div class="composer-box" classList={{ over: left() < 0 }}>
        <textarea
          ref={area}
          id="composer"
          rows="1"
          dir="auto"
          enterkeyhint="send"
          autocomplete="off"
          placeholder={t().composer.placeholder(name())}
          aria-label={t().composer.label(name())}
          aria-describedby={left() < NEAR_LIMIT ? 'composer-left' : fault() !== '' ? 'composer-fault' : undefined}
          aria-invalid={left() < 0}
          onInput={(event) => {
            write(event.currentTarget.value);
            if (event.currentTarget.value.trim() !== '' && !event.currentTarget.value.startsWith('/')) app.typing();
          }}
          onKeyDown={onKeyDown}
          onCompositionEnd={() => {
            compositionEnded = true;
            setTimeout(() => (compositionEnded = false));
          }}
        />
        <Show when={left() < NEAR_LIMIT}>
          <span class="left" id="composer-left" role="status">
            {left() < 0 ? t().composer.over(house.format().number(-left())) : t().composer.left(house.format().number(left()))}
          </span>
        </Show>
        <button type="submit" class="send" aria-label={t().composer.send} title={t().composer.send} disabled={!sendable()}>
          <SendIcon />
        </button>
      </div>
    </form>
  );
}
