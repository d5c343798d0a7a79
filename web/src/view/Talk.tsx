import { Show } from 'solid-js';
import { LOBBY, roomKey } from '../protocol/names';
import { Announcer } from './Announcer';
import { Composer } from './Composer';
import { Connection } from './Connection';
import { useHouse } from './context';
import { LeaveIcon, PeopleIcon, RoomsIcon } from './Icons';
import { MessageList } from './MessageList';
import { TypingLine } from './TypingLine';

/** The room on the screen: its head, what is said, and where one speaks. */
export function Talk() {
  const house = useHouse();
  const { app, t } = house;
  const id = house.live(() => app.chat.active);
  const name = house.live(() => app.chat.activeRoom?.name ?? app.chat.wanted ?? '');
  const count = house.live(() => app.chat.activeRoom?.count ?? 0);
  const elsewhere = house.live(() => {
    let total = 0;
    for (const room of app.chat.joinedRooms) if (room.id !== app.chat.active) total += room.unread;
    return total;
  });
  const isLobby = () => roomKey(name()) === LOBBY;
  const peopleShown = () => (house.slim() ? house.drawer() === 'people' : house.panel());
  const togglePeople = () => {
    if (house.slim()) house.setDrawer(house.drawer() === 'people' ? null : 'people');
    else house.setPanel(!house.panel());
  };
  const leave = () => {
    if (isLobby()) house.tell(t().rooms.lobbyStays);
    else if (!app.leave()) house.tell(t().connection.notNow);
  };

  return (
    <main class="talk" id="talk" inert={house.drawer() !== null} aria-label={t().talk.label(name())}>
      <header class="talk-head">
        <button type="button" class="quiet-button only-narrow rooms-button" onClick={() => house.setDrawer('rooms')}>
          <RoomsIcon />
          <span class="sr-only">{t().rooms.show}</span>
          <Show when={elsewhere() > 0}>
            <span class="dot" aria-hidden="true" />
            <span class="sr-only">{t().rooms.unread(elsewhere())}</span>
          </Show>
        </button>
        <h1>
          <span class="hash" aria-hidden="true">#</span>
          <bdi>{name()}</bdi>
        </h1>
        <Show when={id() !== null && !isLobby()}>
          <button type="button" class="quiet-button" aria-label={t().rooms.leave} title={t().rooms.leave} onClick={leave}>
            <LeaveIcon />
          </button>
        </Show>
        <button
          type="button"
          class="quiet-button people-button"
          aria-label={t().people.show(count())}
          title={t().people.show(count())}
          aria-expanded={peopleShown()}
          onClick={togglePeople}
        >
          <PeopleIcon />
          <span aria-hidden="true">{house.format().number(count())}</span>
        </button>
      </header>
      <Connection />
      <Show when={id()} keyed fallback={<div class="stream" />}>
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
