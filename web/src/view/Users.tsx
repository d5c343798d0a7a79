import { createEffect, createMemo, createSignal, For, on, Show } from 'solid-js';
import type { UserId } from '../protocol/types';
import { Avatar } from './Avatar';
import { useApp } from './context';
import { CloseIcon } from './Icons';

/** How many users are rendered before "show more": a room may have thousands. */
const PAGE_SIZE = 100;

/** The users online in the room: the user first, then by name. */
export function Users() {
  const ctx = useApp();
  const { app, t } = ctx;
  const [shown, setShown] = createSignal(PAGE_SIZE);
  let aside!: HTMLElement;

  const visible = () => (ctx.usersInDrawer() ? ctx.drawer() === 'users' : ctx.usersOpen());
  const count = ctx.select(() => app.chat.activeRoom?.count ?? 0);
  const order = ctx.select(() => {
    const room = app.chat.activeRoom;
    if (!room) return '';
    const { compare } = ctx.format();
    const you = app.chat.you?.id;
    return [...room.users]
      .sort(([a, left], [b, right]) => Number(b === you) - Number(a === you) || compare(left, right))
      .map(([id]) => id)
      .join(' ');
  });
  const ids = createMemo(() => (order() === '' ? [] : (order().split(' ') as UserId[])).slice(0, shown()));
  /** Names that occur more than once; those users also show their id. */
  const ambiguous = ctx.select(() => {
    const seen = new Set<string>();
    const twice = new Set<string>();
    for (const name of app.chat.activeRoom?.users.values() ?? []) (seen.has(name) ? twice : seen).add(name);
    return [...twice].join('\n');
  });
  const isAmbiguous = (name: string) => ambiguous() !== '' && ambiguous().split('\n').includes(name);
  const rest = () => Math.max(0, count() - ids().length);
  const room = ctx.select(() => app.chat.active);

  createEffect(() => {
    void app.revision;
    if (visible()) app.requestUsers();
  });
  createEffect(on(room, () => setShown(PAGE_SIZE)));
  createEffect(
    on(ctx.drawer, (drawer) => {
      if (drawer === 'users') aside.querySelector<HTMLElement>('button')?.focus();
    }, { defer: true }),
  );

  return (
    <aside ref={aside} class="users" classList={{ open: ctx.drawer() === 'users', collapsed: !ctx.usersOpen() }} inert={!visible()} aria-label={t().users.title}>
      <header>
        <h2>
          {t().users.title} <span class="count">{ctx.format().number(count())}</span>
        </h2>
        <button type="button" class="icon-button" aria-label={t().rooms.close} onClick={() => (ctx.usersInDrawer() ? ctx.setDrawer(null) : ctx.setUsersOpen(false))}>
          <CloseIcon />
        </button>
      </header>
      <div class="users-list" tabindex="0" role="region" aria-label={t().users.title}>
        <ul>
          <For each={ids()}>
            {(id) => {
              const name = ctx.select(() => app.chat.activeRoom?.users.get(id) ?? '');
              const you = ctx.select(() => app.chat.you?.id === id);
              return (
                <li class="user">
                  <Avatar id={id} name={name()} small />
                  <span class="user-name"><bdi>{name()}</bdi></span>
                  <Show when={isAmbiguous(name())}>
                    <span class="tag">{id.slice(1)}</span>
                  </Show>
                  <Show when={you()}>
                    <span class="tag">{t().users.you}</span>
                  </Show>
                </li>
              );
            }}
          </For>
        </ul>
        <Show when={rest() > 0}>
          <p class="users-rest">{t().users.rest({ n: ctx.format().number(rest()) })}</p>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              setShown((n) => n + PAGE_SIZE);
              app.requestUsers(true);
            }}
          >
            {t().users.more}
          </button>
        </Show>
      </div>
    </aside>
  );
}
