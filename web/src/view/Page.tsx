import { createEffect, Match, Show, Switch } from 'solid-js';
import type { Notice } from '../core/chat';
import { capped, useApp } from './context';
import { Conversation } from './Conversation';
import { Help } from './Help';
import { Logo } from './Icons';
import { listen } from './listen';
import { Login } from './Login';
import { Users } from './Users';
import { switchRoom } from './roomOrder';
import { Rooms } from './Rooms';
import { Settings } from './Settings';
import { Toasts } from './Toasts';

/** Shows one of the three screens: loading, login or chat. */
export function Page() {
  const ctx = useApp();
  // The chat screen sets the title to the room's name.
  createEffect(() => {
    if (ctx.app.screen !== 'chat') document.title = ctx.t().app.name;
  });
  return (
    <>
      <Switch>
        <Match when={ctx.app.screen === 'loading'}>
          <div class="loading-screen">
            <Logo />
            <Show when={ctx.app.sessionUnknown}>
              <p class="note" role="status">{ctx.t().connection.connecting}</p>
            </Show>
          </div>
        </Match>
        <Match when={ctx.app.screen === 'login'}>
          <Login />
        </Match>
        <Match when={ctx.app.screen === 'chat'}>
          <ChatPage />
        </Match>
      </Switch>
      <Toasts />
    </>
  );
}

function ChatPage() {
  const ctx = useApp();
  const { app, t } = ctx;

  const roomTitle = ctx.select(() => app.chat.activeRoom?.name ?? null);
  const unread = ctx.select(() => app.chat.unreadTotal);
  createEffect(() => {
    const count = unread() > 0 ? `(${capped(unread())}) ` : '';
    const room = roomTitle();
    document.title = `${count}${room === null ? '' : `${room} · `}${t().app.name}`;
  });

  const noticeText = (notice: Notice): string => {
    switch (notice.kind) {
      case 'renamed':
        return t().notice.renamed({ name: notice.name });
      case 'removed':
        return t().notice.removed({ room: notice.room });
      case 'reset':
        return t().notice.reset;
      case 'failed': {
        const why = notice.code === 'invalid_name' && notice.command === 'join' ? t().name.room_character : ctx.errorText(notice.code);
        return notice.subject === undefined ? why : t().notice.join({ room: notice.subject, why });
      }
    }
  };
  createEffect(() => {
    void app.revision;
    for (const notice of app.chat.notices.splice(0)) {
      ctx.notify(noticeText(notice), notice.kind !== 'renamed');
      if (notice.kind === 'failed' && notice.line) ctx.setFailedLine(notice.line);
    }
  });

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const up = event.key === 'ArrowUp';
    if ((up || event.key === 'ArrowDown') && (event.altKey || event.ctrlKey) && !event.shiftKey && !event.metaKey) {
      event.preventDefault();
      switchRoom(ctx, up ? -1 : 1);
    } else if (event.key === 'Escape' && ctx.dialog() === null && ctx.drawer() !== null && !event.defaultPrevented) {
      event.preventDefault();
      ctx.setDrawer(null);
    }
  };
  listen(document, 'keydown', onKeyDown);

  // Closes a drawer that became a column on a wider window.
  createEffect(() => {
    if ((ctx.drawer() === 'rooms' && !ctx.roomsInDrawer()) || (ctx.drawer() === 'users' && !ctx.usersInDrawer())) ctx.setDrawer(null);
  });

  return (
    <div class="layout" classList={{ 'with-users': ctx.usersOpen() }}>
      <a class="skip" href="#conversation" onClick={(event) => skip(event)}>
        {t().app.skip}
      </a>
      <Rooms />
      <Conversation />
      <Users />
      <div class="backdrop" classList={{ shown: ctx.drawer() !== null }} onClick={() => ctx.setDrawer(null)} />
      <Settings />
      <Help />
    </div>
  );
}

/** Moves the focus without changing the address, which names the room. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#composer')?.focus();
}
