import { createEffect, createMemo, createSignal, For, on, Show } from 'solid-js';
import type { UserId } from '../protocol/types';
import { Avatar } from './Avatar';
import { useApp } from './context';
import { CloseIcon } from './Icons';

/** How many people are rendered before "show more": a room may have thousands. */
const PAGE_SIZE = 100;

/** The people online in the room: the user first, then by name. */
export function People() {
  const ctx = useApp();
  const { app, t } = ctx;
  const [shown, setShown] = createSignal(PAGE_SIZE);
  let aside!: HTMLElement;

  const visible = () => (ctx.peopleInDrawer() ? ctx.drawer() === 'people' : ctx.peopleOpen());
  const count = ctx.select(() => app.chat.activeRoom?.count ?? 0);
  const order = ctx.select(() => {
    const room = app.chat.activeRoom;
    if (!room) return '';
    const { compare } = ctx.format();
    const you = app.chat.you?.id;
    return [...room.people]
      .sort(([a, left], [b, right]) => Number(b === you) - Number(a === you) || compare(left, right))
      .map(([id]) => id)
      .join(' ');
  });
  const ids = createMemo(() => (order() === '' ? [] : (order().split(' ') as UserId[])).slice(0, shown()));
  /** Names that occur more than once; those people also show their id. */
  const ambiguous = ctx.select(() => {
    const seen = new Set<string>();
    const twice = new Set<string>();
    for (const name of app.chat.activeRoom?.people.values() ?? []) (seen.has(name) ? twice : seen).add(name);
    return [...twice].join('\n');
  });
  const isAmbiguous = (name: string) => ambiguous() !== '' && ambiguous().split('\n').includes(name);
  const rest = () => Math.max(0, count() - ids().length);
  const room = ctx.select(() => app.chat.active);

  createEffect(() => {
    void app.revision;
    if (visible()) app.requestPeople();
  });
  createEffect(on(room, () => setShown(PAGE_SIZE)));
  createEffect(
    on(ctx.drawer, (drawer) => {
      if (drawer === 'people') aside.querySelector<HTMLElement>('button')?.focus();
    }, { defer: true }),
  );

  return (
    <aside ref={aside} class="people" classList={{ open: ctx.drawer() === 'people', collapsed: !ctx.peopleOpen() }} inert={!visible()} aria-label={t().people.title}>
      <header>
        <h2>
          {t().people.title} <span class="count">{ctx.format().number(count())}</span>
        </h2>
        <button type="button" class="icon-button" aria-label={t().rooms.close} onClick={() => (ctx.peopleInDrawer() ? ctx.setDrawer(null) : ctx.setPeopleOpen(false))}>
          <CloseIcon />
        </button>
      </header>
      <div class="people-list" tabindex="0" role="region" aria-label={t().people.title}>
        <ul>
          <For each={ids()}>
            {(id) => {
              const name = ctx.select(() => app.chat.activeRoom?.people.get(id) ?? '');
              const you = ctx.select(() => app.chat.you?.id === id);
              return (
                <li class="person">
                  <Avatar id={id} name={name()} small />
                  <span class="person-name"><bdi>{name()}</bdi></span>
                  <Show when={isAmbiguous(name())}>
                    <span class="tag">{id.slice(1)}</span>
                  </Show>
                  <Show when={you()}>
                    <span class="tag">{t().people.you}</span>
                  </Show>
                </li>
              );
            }}
          </For>
        </ul>
        <Show when={rest() > 0}>
          <p class="people-rest">{t().people.rest({ n: ctx.format().number(rest()) })}</p>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              setShown((n) => n + PAGE_SIZE);
              app.requestPeople(true);
            }}
          >
            {t().people.more}
          </button>
        </Show>
      </div>
    </aside>
  );
}
