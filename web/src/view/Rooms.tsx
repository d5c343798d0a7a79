import { createEffect, createMemo, createSignal, For, on, Show } from 'solid-js';
import { roomKey, roomName } from '../protocol/names';
import type { RoomId } from '../protocol/types';
import { Avatar } from './Avatar';
import { useApp } from './context';
import { CloseIcon, Logo, PlusIcon, SearchIcon, SettingsIcon } from './Icons';
import { roomOrder } from './roomOrder';
import { roving } from './roving';

/** The sidebar: joined rooms, the directory, and the user's profile button. */
export function Rooms() {
  const ctx = useApp();
  const { app, t } = ctx;
  const [query, setQuery] = createSignal('');
  const [error, setError] = createSignal('');
  let input!: HTMLInputElement;
  let aside!: HTMLElement;

  const key = createMemo(() => roomKey(query().trim().replace(/^#/, '')));
  const matchesQuery = (name: string) => key() === '' || roomKey(name).includes(key());
  // Strings compare by value, so an unchanged list causes no update.
  const mine = ctx.select(() => roomOrder(ctx).join(' '));
  const yours = createMemo(() => split(mine()).filter((id) => matchesQuery(app.chat.room(id)?.name ?? '')));
  const directory = ctx.select(() =>
    app.chat.directory
      .filter((room) => !app.chat.room(room.room)?.member)
      .sort((a, b) => b.count - a.count || ctx.format().compare(a.name, b.name))
      .map((room) => room.room)
      .join(' '),
  );
  const summary = (id: RoomId) => app.chat.directory.find((room) => room.room === id);
  const others = createMemo(() => split(directory()).filter((id) => matchesQuery(summary(id)?.name ?? '')));
  const activeId = ctx.select(() => app.chat.active);
  const exact = createMemo(() => {
    void mine();
    void directory();
    const named = (name: string) => roomKey(name) === key();
    return app.chat.joinedRooms.find((room) => named(room.name))?.name ?? app.chat.directory.find((room) => named(room.name))?.name;
  });
  const creatable = createMemo(() => {
    if (key() === '' || exact() !== undefined) return null;
    const name = roomName(query());
    return name.ok ? name.name : null;
  });

  // Roving tabindex: the list is one stop for the Tab key.
  const [rovingId, setRovingId] = createSignal('');
  const tabStop = createMemo(() => {
    const all = [...(creatable() === null ? [] : ['+']), ...yours(), ...others()];
    const active = activeId();
    if (all.includes(rovingId())) return rovingId();
    return active !== null && all.includes(active) ? active : (all[0] ?? '');
  });
  // After a room change, Tab leads to the active room again.
  createEffect(on(activeId, () => setRovingId(''), { defer: true }));
  const tabStopProps = (id: string) => ({ tabindex: tabStop() === id ? 0 : -1, onFocus: () => setRovingId(id) });

  const enter = (nameOrId: string) => {
    app.openRoom(nameOrId);
    setQuery('');
    setError('');
    if (ctx.roomsInDrawer()) ctx.setDrawer(null);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (query().trim() === '') return;
    const only = yours().length + others().length === 1 ? (yours()[0] ?? others()[0]) : undefined;
    const name = roomName(query());
    if (exact() !== undefined) enter(exact()!);
    else if (only) enter(only);
    else if (name.ok) enter(name.name);
    else setError(ctx.roomNameError(name.why));
  };

  // Opening the drawer refreshes the directory and focuses the active room.
  createEffect(
    on(ctx.drawer, (drawer) => {
      if (drawer !== 'rooms') return;
      app.refreshDirectory();
      aside.querySelector<HTMLElement>('[aria-current="page"]')?.focus();
    }, { defer: true }),
  );
  const you = ctx.select(() => app.chat.you?.name ?? '');
  const yourId = ctx.select(() => app.chat.you?.id ?? '');
  const hidden = () => ctx.roomsInDrawer() && ctx.drawer() !== 'rooms';

  return (
    <aside ref={aside} class="rooms" classList={{ open: ctx.drawer() === 'rooms' }} inert={hidden()} aria-label={t().rooms.title}>
      <header class="rooms-header">
        <Logo />
        <span class="wordmark">{t().app.name}</span>
        <button type="button" class="icon-button only-narrow" aria-label={t().rooms.close} onClick={() => ctx.setDrawer(null)}>
          <CloseIcon />
        </button>
      </header>
      <form class="room-search" role="search" onSubmit={submit}>
        <SearchIcon />
        <input
          ref={input}
          id="room-search"
          type="text"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          enterkeyhint="go"
          placeholder={t().rooms.find}
          aria-label={t().rooms.find}
          aria-describedby={error() ? 'room-search-error' : undefined}
          value={query()}
          onFocus={() => app.refreshDirectory()}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            setError('');
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape' && query() !== '') {
              event.preventDefault();
              setQuery('');
              setError('');
            } else if (event.key === 'ArrowDown' && !event.altKey && !event.ctrlKey) {
              event.preventDefault();
              aside.querySelector<HTMLElement>('.room-link')?.focus();
            }
          }}
        />
      </form>
      <Show when={error() !== ''}>
        <p class="room-search-error" id="room-search-error" role="alert">{error()}</p>
      </Show>
      <nav class="room-lists" aria-label={t().rooms.title} onKeyDown={(event) => roving(event, '.room-link')}>
        <Show when={creatable()}>
          {(name) => (
            <button type="button" class="room-link create" {...tabStopProps('+')} onClick={() => enter(name())}>
              <PlusIcon />
              <span class="room-name">{t().rooms.open({ name: name() })}</span>
            </button>
          )}
        </Show>
        <Show when={yours().length > 0}>
          <h2>{t().rooms.yours}</h2>
          <ul>
            <For each={yours()}>{(id) => <YourRoom id={id} tabStop={tabStop() === id} onFocus={() => setRovingId(id)} onEnter={() => enter(id)} />}</For>
          </ul>
        </Show>
        <Show when={others().length > 0}>
          <h2>{t().rooms.others}</h2>
          <ul>
            <For each={others()}>
              {(id) => {
                const name = ctx.select(() => summary(id)?.name ?? '');
                const count = ctx.select(() => summary(id)?.count ?? 0);
                return (
                  <li>
                    <button type="button" class="room-link other" {...tabStopProps(id)} onClick={() => enter(name())}>
                      <span class="hash" aria-hidden="true">#</span>
                      <span class="room-name"><bdi>{name()}</bdi></span>
                      <Show when={count() > 0}>
                        <span class="count" aria-hidden="true">{ctx.format().number(count())}</span>
                        <span class="sr-only">{t().rooms.users({ n: count() })}</span>
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
      <footer class="rooms-footer">
        <button type="button" class="profile-button" aria-haspopup="dialog" aria-label={t().menu.title({ name: you() })} onClick={() => ctx.setDialog('settings')}>
          <Avatar id={yourId()} name={you()} />
          <span class="profile-name"><bdi>{you()}</bdi></span>
          <SettingsIcon />
        </button>
      </footer>
    </aside>
  );
}

function YourRoom(props: { id: RoomId; tabStop: boolean; onFocus: () => void; onEnter: () => void }) {
  const { app, t, select } = useApp();
  const name = select(() => app.chat.room(props.id)?.name ?? '');
  const unread = select(() => app.chat.room(props.id)?.unread ?? 0);
  const active = select(() => app.chat.active === props.id);
  return (
    <li>
      <button
        type="button"
        class="room-link"
        classList={{ active: active(), unread: unread() > 0 }}
        aria-current={active() ? 'page' : undefined}
        tabindex={props.tabStop ? 0 : -1}
        onFocus={() => props.onFocus()}
        onClick={() => props.onEnter()}
      >
        <span class="hash" aria-hidden="true">#</span>
        <span class="room-name"><bdi>{name()}</bdi></span>
        <Show when={unread() > 0}>
          <span class="badge" aria-hidden="true">{unread() > 99 ? '99+' : unread()}</span>
          <span class="sr-only">{t().rooms.unread({ n: unread() })}</span>
        </Show>
      </button>
    </li>
  );
}

function split(ids: string): RoomId[] {
  return ids === '' ? [] : (ids.split(' ') as RoomId[]);
}
