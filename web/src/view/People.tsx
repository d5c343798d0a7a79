import { createEffect, createMemo, createSignal, For, on, Show } from 'solid-js';
import type { UserId } from '../protocol/types';
import { Avatar } from './Avatar';
import { useHouse } from './context';
import { CloseIcon } from './Icons';

/** So many are shown unasked; the house may be full. */
const SHOWN = 100;

/** Who is here: oneself first, then by name. */
export function People() {
  const house = useHouse();
  const { app, t } = house;
  const [shown, setShown] = createSignal(SHOWN);
  let aside!: HTMLElement;

  const visible = () => (house.slim() ? house.drawer() === 'people' : house.panel());
  const count = house.live(() => app.chat.activeRoom?.count ?? 0);
  const order = house.live(() => {
    const room = app.chat.activeRoom;
    if (!room) return '';
    const { compare } = house.format();
    const you = app.chat.you?.id;
    return [...room.people]
      .sort(([a, left], [b, right]) => Number(b === you) - Number(a === you) || compare(left, right))
      .map(([id]) => id)
      .join(' ');
  });
  const ids = createMemo(() => (order() === '' ? [] : (order().split(' ') as UserId[])).slice(0, shown()));
  /** Two people of one name are told apart by their number. */
  const ambiguous = house.live(() => {
    const seen = new Set<string>();
    const twice = new Set<string>();
    for (const name of app.chat.activeRoom?.people.values() ?? []) (seen.has(name) ? twice : seen).add(name);
    return [...twice].join('\n');
  });
  const isAmbiguous = (name: string) => ambiguous() !== '' && ambiguous().split('\n').includes(name);
  const rest = () => Math.max(0, count() - ids().length);
  const room = house.live(() => app.chat.active);

  createEffect(() => {
    void app.revision;
    if (visible()) app.whoIsHere();
  });
  createEffect(on(room, () => setShown(SHOWN)));
  createEffect(
    on(house.drawer, (drawer) => {
      if (drawer === 'people') aside.querySelector<HTMLElement>('button')?.focus();
    }, { defer: true }),
  );

  return (
    <aside ref={aside} class="people" classList={{ open: house.drawer() === 'people', shut: !house.panel() }} inert={!visible()} aria-label={t().people.title}>
      <header>
        <h2>
          {t().people.title} <span class="count">{house.format().number(count())}</span>
        </h2>
        <button type="button" class="quiet-button" aria-label={t().rooms.close} onClick={() => (house.slim() ? house.setDrawer(null) : house.setPanel(false))}>
          <CloseIcon />
        </button>
      </header>
      <div class="people-scroll" tabindex="0" role="region" aria-label={t().people.title}>
        <ul>
          <For each={ids()}>
            {(id) => {
              const name = house.live(() => app.chat.activeRoom?.people.get(id) ?? '');
              const you = house.live(() => app.chat.you?.id === id);
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
          <p class="rest">{t().people.rest(house.format().number(rest()))}</p>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              setShown((n) => n + SHOWN);
              app.whoIsHere(true);
            }}
          >
            {t().people.more}
          </button>
        </Show>
      </div>
    </aside>
  );
}
