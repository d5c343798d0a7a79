import { createEffect, Match, onCleanup, Show, Switch } from 'solid-js';
import type { Notice } from '../core/chat';
import { useHouse } from './context';
import { Rooms } from './Rooms';
import { People } from './People';
import { Talk } from './Talk';
import { Help } from './Help';
import { Settings } from './Settings';
import { Toasts } from './Toasts';
import { Logo } from './Icons';
import { Welcome } from './Welcome';
import { switchRoom } from './roomOrder';

/** Which of the page's faces is shown: the door, or the house. */
export function Page() {
  const house = useHouse();
  // Inside, the title names the room.
  createEffect(() => {
    if (house.app.stage !== 'chat') document.title = house.t().app.name;
  });
  return (
    <>
      <Switch>
        <Match when={house.app.stage === 'opening'}>
          <div class="opening">
            <Logo />
            <Show when={house.app.unanswered}>
              <p class="note" role="status">{house.t().connection.connecting}</p>
            </Show>
          </div>
        </Match>
        <Match when={house.app.stage === 'welcome'}>
          <Welcome />
        </Match>
        <Match when={house.app.stage === 'chat'}>
          <Inside />
        </Match>
      </Switch>
      <Toasts />
    </>
  );
}

function Inside() {
  const house = useHouse();
  const { app, t } = house;

  const roomTitle = house.live(() => app.chat.activeRoom?.name ?? null);
  const unread = house.live(() => app.chat.unreadTotal);
  createEffect(() => {
    document.title = t().app.title(unread(), roomTitle());
  });

  const told = (notice: Notice): string => {
    switch (notice.is) {
      case 'renamed':
        return t().notice.renamed(notice.name);
      case 'gone':
        return t().notice.gone(notice.room);
      case 'reset':
        return t().notice.reset;
      case 'refused': {
        const why = notice.code === 'invalid_name' && notice.what === 'join' ? t().name.roomCharacter : house.errorText(notice.code);
        return notice.subject === undefined ? why : t().notice.join(notice.subject, why);
      }
    }
  };
  createEffect(() => {
    void app.revision;
    for (const notice of app.chat.notices.splice(0)) house.tell(told(notice), notice.is !== 'renamed');
  });

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const up = event.key === 'ArrowUp';
    if ((up || event.key === 'ArrowDown') && (event.altKey || event.ctrlKey) && !event.shiftKey && !event.metaKey) {
      event.preventDefault();
      switchRoom(house, up ? -1 : 1);
    } else if (event.key === 'Escape' && house.dialog() === null && house.drawer() !== null && !event.defaultPrevented) {
      event.preventDefault();
      house.setDrawer(null);
    }
  };
  document.addEventListener('keydown', onKeyDown);
  onCleanup(() => document.removeEventListener('keydown', onKeyDown));

  // A drawer that is no drawer on this width is closed.
  createEffect(() => {
    if ((house.drawer() === 'rooms' && !house.narrow()) || (house.drawer() === 'people' && !house.slim())) house.setDrawer(null);
  });

  return (
    <div class="house" classList={{ 'with-people': house.panel() }}>
      <a class="skip" href="#talk" onClick={(event) => skip(event)}>
        {t().app.skip}
      </a>
      <Rooms />
      <Talk />
      <People />
      <div class="shade" classList={{ shown: house.drawer() !== null }} onClick={() => house.setDrawer(null)} />
      <Settings />
      <Help />
    </div>
  );
}

/** The address names the room, so the skip link moves the focus and leaves the address alone. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#composer')?.focus();
}
