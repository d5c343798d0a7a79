import { Show } from 'solid-js';
import { LOBBY, roomKey } from '../protocol/names';
import { Announcer } from './Announcer';
import { Composer } from './Composer';
import { ConnectionStatus } from './ConnectionStatus';
import { useApp } from './context';
import { LeaveIcon, UsersIcon, RoomsIcon } from './Icons';
import { MessageList } from './MessageList';
import { TypingLine } from './TypingLine';

/** The active room: header, messages and composer. */
export function Conversation() {
  const ctx = useApp();
  const { app, t } = ctx;
  const id = ctx.select(() => app.chat.active);
  const name = ctx.select(() => app.chat.activeRoom?.name ?? app.chat.pendingRoom ?? '');
  const topic = ctx.select(() => app.chat.activeRoom?.attributes.topic ?? '');
  const count = ctx.select(() => app.chat.activeRoom?.count ?? 0);
  const unreadElsewhere = ctx.select(() => {
    let total = 0;
    for (const room of app.chat.joinedRooms) if (room.id !== app.chat.active) total += room.unread;
    return total;
  });
  const isLobby = () => roomKey(name()) === LOBBY;
  const usersShown = () => (ctx.usersInDrawer() ? ctx.drawer() === 'users' : ctx.usersOpen());
  const toggleUsers = () => {
    if (ctx.usersInDrawer()) ctx.setDrawer(ctx.drawer() === 'users' ? null : 'users');
    else ctx.setUsersOpen(!ctx.usersOpen());
  };
  const leave = () => {
    if (isLobby()) ctx.notify(t().rooms.lobby_stays);
    else if (!app.leaveRoom()) ctx.notify(t().connection.not_now);
  };

  return (
    <main class="conversation" id="conversation" inert={ctx.drawer() !== null} aria-label={t().chat.label({ room: name() })}>
      <header class="conversation-header">
        <button type="button" class="icon-button only-narrow rooms-button" onClick={() => ctx.setDrawer('rooms')}>
          <RoomsIcon />
          <span class="sr-only">{t().rooms.show}</span>
          <Show when={unreadElsewhere() > 0}>
            <span class="dot" aria-hidden="true" />
            <span class="sr-only">{t().rooms.unread({ n: unreadElsewhere() })}</span>
          </Show>
        </button>
        <h1>
          <span class="hash" aria-hidden="true">#</span>
          <bdi>{name()}</bdi>
        </h1>
        <Show when={topic() !== ''}>
          <p class="subtitle" dir="auto" title={topic()}>
            <span class="sr-only">{t().room_attribute.topic({ value: topic() })}</span>
            <span aria-hidden="true">{topic()}</span>
          </p>
        </Show>
        <Show when={id() !== null && !isLobby()}>
          <button type="button" class="icon-button" aria-label={t().rooms.leave} title={t().rooms.leave} onClick={leave}>
            <LeaveIcon />
          </button>
        </Show>
        <button
          type="button"
          class="icon-button users-button"
          aria-label={t().users.show({ n: count() })}
          title={t().users.show({ n: count() })}
          aria-expanded={usersShown()}
          onClick={toggleUsers}
        >
          <UsersIcon />
          <span aria-hidden="true">{ctx.format().number(count())}</span>
        </button>
      </header>
      <ConnectionStatus />
      <Show when={id()} keyed fallback={<div class="message-list" />}>
        {(room) => <MessageList room={room} />}
      </Show>
      <TypingLine />
      <Show when={id()} keyed fallback={<div class="composer" />}>
        {(room) => <Composer room={room} />}
      </Show>
      <Announcer />
    </main>
  );
}
