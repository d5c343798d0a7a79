import { createEffect, createMemo, createSignal, For, onMount, Show, untrack } from 'solid-js';
import { enterSends } from '../core/ime';
import { commandOf, hasArgument, matchCommands, parseLine, type SlashCommand, type SlashWord } from '../core/slash';
import { utf8Bytes } from '../protocol/encode';
import { LOBBY, roomKey, roomName, userName } from '../protocol/names';
import type { RoomId } from '../protocol/types';
import { loadDraft, saveDraft } from '../shell/storage';
import { useApp } from './context';
import { SendIcon } from './Icons';

/** The remaining bytes are shown below this number. */
const NEAR_LIMIT = 400;
/** The maximum height of the composer as a share of the window. */
const MAX_HEIGHT = 0.4;

/** The message input. Keyed by room: each room has its own draft. */
export function Composer(props: { room: RoomId }) {
  const ctx = useApp();
  const { app, t } = ctx;
  const you = app.chat.you!.id;
  const [text, setText] = createSignal(loadDraft(you, props.room));
  const [error, setError] = createSignal('');
  let area!: HTMLTextAreaElement;
  let compositionEnded = false;

  const name = ctx.select(() => `#${app.chat.room(props.room)?.name ?? ''}`);
  const limit = ctx.select(() => app.chat.limits.body_bytes);
  const left = createMemo(() => limit() - utf8Bytes(text()));
  const completions = createMemo(() => matchCommands(text()));
  const sendable = () => text().trim() !== '' && left() >= 0;

  const resize = () => {
    area.style.height = 'auto';
    area.style.height = `${Math.min(area.scrollHeight, window.innerHeight * MAX_HEIGHT)}px`;
  };
  const write = (next: string) => {
    setText(next);
    setError('');
    saveDraft(you, props.room, next);
    if (area.value !== next) area.value = next;
    resize();
  };
  createEffect(() => {
    const line = ctx.failedLine();
    if (line?.room === props.room && untrack(text) === '') write(line.text);
  });
  onMount(() => {
    area.value = text();
    resize();
    // On a touch screen, the focus would open the keyboard over the messages.
    if (!matchMedia('(pointer: coarse)').matches && ctx.drawer() === null) area.focus({ preventScroll: true });
  });

  /** Executes a slash command. Those that the page does in its own way come first. */
  const runCommand = (slash: SlashCommand, argument: string): boolean => {
    const sent = (isSent: boolean) => {
      if (!isSent) setError(t().connection.not_now);
      return isSent;
    };
    switch (slash.operation) {
      case 'join': {
        const checked = roomName(argument);
        if (!checked.ok) setError(ctx.roomNameError(checked.why));
        else app.openRoom(checked.name);
        return checked.ok;
      }
      case 'rename': {
        const checked = userName(argument);
        if (checked.ok) return sent(app.rename(checked.name));
        setError(ctx.userNameError(checked.why));
        return false;
      }
      case 'leave':
        if (roomKey(name()) !== `#${LOBBY}`) return sent(app.leaveRoom());
        setError(t().rooms.lobby_stays);
        return false;
      case 'who':
        if (ctx.usersInDrawer()) ctx.setDrawer('users');
        else ctx.setUsersOpen(true);
        return true;
      case 'rooms':
        if (ctx.roomsInDrawer()) ctx.setDrawer('rooms');
        else document.getElementById('room-search')?.focus();
        return true;
      default:
        return sent(app.perform(commandOf(slash, argument, props.room), { room: props.room, text: text() }));
    }
  };
  /** Executes the line. Returns false if it failed; then the text stays and an error is shown. */
  const runLine = (): boolean => {
    const line = parseLine(text());
    switch (line.kind) {
      case 'message':
        // Trailing white space, often a stray Enter, is not part of the message.
        app.sendMessage(props.room, line.text.trimEnd());
        return true;
      case 'command':
        return runCommand(line.slash, line.argument);
      case 'help':
        ctx.setDialog('help');
        return true;
      case 'incomplete':
        setError((t().slash_missing as Partial<Record<SlashWord, string>>)[line.word] ?? '');
        return false;
      case 'unknown':
        setError(t().help.unknown({ word: line.word }));
        return false;
    }
  };
  const send = () => {
    if (!sendable()) return;
    if (runLine()) write('');
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (enterSends(event, compositionEnded)) {
      event.preventDefault();
      send();
    } else if (event.key === 'Tab' && !event.shiftKey && completions().length > 0 && text() !== '/') {
      event.preventDefault();
      complete(completions()[0]!);
    }
  };
  const complete = (word: SlashWord) => {
    write(`/${word}${hasArgument(word) ? ' ' : ''}`);
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
      <Show when={completions().length > 0}>
        <ul class="completions" aria-label={t().composer.commands}>
          <For each={completions()}>
            {(word) => (
              <li>
                <button type="button" onClick={() => complete(word)}>
                  <code>{`/${word}`}</code>
                  <span>{t().slash[word]}</span>
                </button>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <Show when={error() !== ''}>
        <p class="composer-error" role="alert" id="composer-error">{error()}</p>
      </Show>
      <div class="composer-box" classList={{ 'over-limit': left() < 0 }}>
        <textarea
          ref={area}
          id="composer"
          rows="1"
          dir="auto"
          enterkeyhint="send"
          autocomplete="off"
          placeholder={t().composer.placeholder({ room: name() })}
          aria-label={t().composer.label({ room: name() })}
          aria-describedby={left() < NEAR_LIMIT ? 'composer-left' : error() !== '' ? 'composer-error' : undefined}
          aria-invalid={left() < 0}
          onInput={(event) => {
            write(event.currentTarget.value);
            if (event.currentTarget.value.trim() !== '' && !event.currentTarget.value.startsWith('/')) app.reportTyping();
          }}
          onKeyDown={onKeyDown}
          onCompositionEnd={() => {
            compositionEnded = true;
            setTimeout(() => (compositionEnded = false));
          }}
        />
        <Show when={left() < NEAR_LIMIT}>
          <span class="bytes-left" id="composer-left" role="status">
            {left() < 0 ? t().composer.over({ n: ctx.format().number(-left()) }) : t().composer.left({ n: ctx.format().number(left()) })}
          </span>
        </Show>
        <button type="submit" class="send" aria-label={t().composer.send} title={t().composer.send} disabled={!sendable()}>
          <SendIcon />
        </button>
      </div>
    </form>
  );
}
