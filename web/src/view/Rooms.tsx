import { createEffect, createMemo, createSignal, For, on, Show } from 'solid-js';
import { roomKey, roomName } from '../protocol/names';
import type { RoomId } from '../protocol/types';
import { useHouse } from './context';
import { Avatar } from './Avatar';
import { CloseIcon, Logo, PlusIcon, SearchIcon, SettingsIcon } from './Icons';
import { roomOrder } from './roomOrder';
import { roving } from './roving';

/** The rooms one is in, the others of the house, and oneself. */
export function Rooms() {
  const house = useHouse();
  const { app, t } = house;
  const [sought, setSought] = createSignal('');
  const [fault, setFault] = createSignal('');
  let input!: HTMLInputElement;
  let aside!: HTMLElement;

  const key = createMemo(() => roomKey(sought().trim().replace(/^#/, '')));
  const fits = (name: string) => key() === '' || roomKey(name).includes(key());
  // Texts, so that a list in which nothing changed is the same list.
  const mine = house.live(() => roomOrder(house).join(' '));
  const yours = createMemo(() => split(mine()).filter((id) => fits(app.chat.room(id)?.name ?? '')));
  const directory = house.live(() =>
    app.chat.directory
      .filter((room) => !app.chat.room(room.room)?.member)
      .sort((a, b) => b.count - a.count || house.format().compare(a.name, b.name))
      .map((room) => room.room)
      .join(' '),
  );
  const summary = (id: RoomId) => app.chat.directory.find((room) => room.room === id);
  const others = createMemo(() => split(directory()).filter((id) => fits(summary(id)?.name ?? '')));
  const activeId = house.live(() => app.chat.active);
  const exact = createMemo(() => {
    void mine();
    void directory();
    const named = (name: string) => roomKey(name) === key();
    return app.chat.joinedRooms.find((room) => named(room.name))?.name ?? app.chat.directory.find((room) => named(room.name))?.name;
  });
  const creatable = createMemo(() => {
    if (key() === '' || exact() !== undefined) return null;
    const name = roomName(sought());
    return name.ok ? name.name : null;
  });

  // One stop for the Tab key, wherever the arrow keys left it.
  const [walked, setWalked] = createSignal('');
  const stop = createMemo(() => {
    const all = [...(creatable() === null ? [] : ['+']), ...yours(), ...others()];
    const active = activeId();
    if (all.includes(walked())) return walked();
    return active !== null && all.includes(active) ? active : (all[0] ?? '');
  });
  // Another room was entered: Tab leads there again.
  createEffect(on(activeId, () => setWalked(''), { defer: true }));
  const stopsAt = (id: string) => ({ tabindex: stop() === id ? 0 : -1, onFocus: () => setWalked(id) });

  const enter = (nameOrId: string) => {
    app.go(nameOrId);
    setSought('');
    setFault('');
    if (house.narrow()) house.setDrawer(null);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (sought().trim() === '') return;
    const only = yours().length + others().length === 1 ? (yours()[0] ?? others()[0]) : undefined;
    const name = roomName(sought());
    if (exact() !== undefined) enter(exact()!);
    else if (only) enter(only);
    else if (name.ok) enter(name.name);
    else setFault(house.roomFault(name.why));
  };

  // Whoever opens the drawer looks at the directory, and starts to type or to walk.
  createEffect(
    on(house.drawer, (drawer) => {
      if (drawer !== 'rooms') return;
      app.lookAtDirectory();
      aside.querySelector<HTMLElement>('[aria-current="page"]')?.focus();
    }, { defer: true }),
  );
  const you = house.live(() => app.chat.you?.name ?? '');
  const yourId = house.live(() => app.chat.you?.id ?? '');
  const hidden = () => house.narrow() && house.drawer() !== 'rooms';

  return (
    <aside ref={aside} class="rooms" classList={{ open: house.drawer() === 'rooms' }} inert={hidden()} aria-label={t().rooms.title}>
      <header class="rooms-head">
        <Logo />
        <span class="wordmark">{t().app.name}</span>
        <button type="button" class="quiet-button only-narrow" aria-label={t().rooms.close} onClick={() => house.setDrawer(null)}>
          <CloseIcon />
        </button>
      </header>
      <form class="finder" role="search" onSubmit={submit}>
        <SearchIcon />
        <input
          ref={input}
          id="finder"
          type="text"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          enterkeyhint="go"
          placeholder={t().rooms.find}
          aria-label={t().rooms.find}
          aria-describedby={fault() ? 'finder-fault' : undefined}
          value={sought()}
          onFocus={() => app.lookAtDirectory()}
          onInput={(event) => {
            setSought(event.currentTarget.value);
            setFault('');
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape' && sought() !== '') {
              event.preventDefault();
              setSought('');
              setFault('');
            } else if (event.key === 'ArrowDown' && !event.altKey && !event.ctrlKey) {
              event.preventDefault();
              aside.querySelector<HTMLElement>('.room-link')?.focus();
            }
          }}
        />
      </form>
      <Show when={fault() !== ''}>
        <p class="finder-fault" id="finder-fault" role="alert">{fault()}</p>
      </Show>
      <nav class="room-lists" aria-label={t().rooms.title} onKeyDown={(event) => roving(event, '.room-link')}>
        <Show when={creatable()}>
          {(name) => (
            <button type="button" class="room-link create" {...stopsAt('+')} onClick={() => enter(name())}>
              <PlusIcon />
              <span class="room-name">{t().rooms.open(name())}</span>
            </button>
          )}
        </Show>
        <Show when={yours().length > 0}>
          <h2>{t().rooms.yours}</h2>
          <ul>
            <For each={yours()}>{(id) => <YourRoom id={id} stop={stop() === id} onFocus={() => setWalked(id)} onEnter={() => enter(id)} />}</For>
          </ul>
        </Show>
        <Show when={others().length > 0}>
          <h2>{t().rooms.others}</h2>
          <ul>
            <For each={others()}>
              {(id) => {
                const name = house.live(() => summary(id)?.name ?? '');
                const count = house.live(() => summary(id)?.count ?? 0);
                return (
                  <li>
                    <button type="button" class="room-link other" {...stopsAt(id)} onClick={() => enter(name())}>
                      <span class="hash" aria-hidden="true">#</span>
                      <span class="room-name"><bdi>{name()}</bdi></span>
                      <Show when={count() > 0}>
                        <span class="count" aria-hidden="true">{house.format().number(count())}</span>
                        <span class="sr-only">{t().rooms.people(count())}</span>
                      </Show>
                    </button>
                  </li>
                );
              }}
            </For>
          </ul>
        </Show>
        <Show when={key() !== '' && yours().length + others().length === 0 && creatable() === null}>
          <p class="none">{t().rooms.none}</p>
        </Show>
      </nav>
      <footer class="rooms-foot">
        <button type="button" class="me" aria-haspopup="dialog" aria-label={t().menu.title(you())} onClick={() => house.setDialog('settings')}>
          <Avatar id={yourId()} name={you()} />
          <span class="me-name"><bdi>{you()}</bdi></span>
          <SettingsIcon />
        </button>
      </footer>
    </aside>
  );
}

function YourRoom(props: { id: RoomId; stop: boolean; onFocus: () => void; onEnter: () => void }) {
  const { app, t, live } = useHouse();
  const name = live(() => app.chat.room(props.id)?.name ?? '');
  const unread = live(() => app.chat.room(props.id)?.unread ?? 0);
  const active = live(() => app.chat.active === props.id);
  return (
    <li>
      <button
        type="button"
        class="room-link"
        classList={{ active: active(), unread: unread() > 0 }}
        aria-current={active() ? 'page' : undefined}
        tabindex={props.stop ? 0 : -1}
        onFocus={() => props.onFocus()}
        onClick={() => props.onEnter()}
      >
        <span class="hash" aria-hidden="true">#</span>
        <span class="room-name"><bdi>{name()}</bdi></span>
        <Show when={unread() > 0}>
          <span class="badge" aria-hidden="true">{unread() > 99 ? '99+' : unread()}</span>
          <span class="sr-only">{t().rooms.unread(unread())}</span>
        </Show>
      </button>
    </li>
  );
}

function split(ids: string): RoomId[] {
  return ids === '' ? [] : (ids.split(' ') as RoomId[]);
}
