import { LOBBY, roomKey } from '../protocol/names';
import type { House } from './context';
import type { RoomId } from '../protocol/types';

/** The rooms one is in, in the order of the list: the lobby, then by name. */
export function roomOrder(house: House): RoomId[] {
  const { compare } = house.format();
  const isLobby = (name: string) => roomKey(name) === LOBBY;
  return house.app.chat.joinedRooms
    .sort((a, b) => Number(isLobby(b.name)) - Number(isLobby(a.name)) || compare(a.name, b.name))
    .map((room) => room.id);
}

/** The room above or below the active one; the list has no ends. */
export function switchRoom(house: House, step: 1 | -1): void {
  const order = roomOrder(house);
  if (order.length < 2) return;
  const at = order.indexOf(house.app.chat.active ?? order[0]!);
  house.app.go(order[(at + step + order.length) % order.length]!);
}
