import { LOBBY, roomKey } from '../protocol/names';
import type { RoomId } from '../protocol/types';
import type { AppContext } from './context';

/** The joined rooms in display order: the lobby, then by name. */
export function roomOrder(ctx: AppContext): RoomId[] {
  const { compare } = ctx.format();
  const isLobby = (name: string) => roomKey(name) === LOBBY;
  return ctx.app.chat.joinedRooms
    .sort((a, b) => Number(isLobby(b.name)) - Number(isLobby(a.name)) || compare(a.name, b.name))
    .map((room) => room.id);
}

/** Switches to the previous or next room; the list wraps around. */
export function switchRoom(ctx: AppContext, step: 1 | -1): void {
  const order = roomOrder(ctx);
  if (order.length < 2) return;
  const at = order.indexOf(ctx.app.chat.active ?? order[0]!);
  ctx.app.openRoom(order[(at + step + order.length) % order.length]!);
}
