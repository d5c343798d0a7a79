import type { Command, RoomId, Seq } from '../protocol/types';
import { type Chat, READ_EVERY, RECENT } from './chat';
import { asCommand, nextFetch } from './fetching';
import type { Room } from './room';

/** The directory is asked for again when it is looked at and older than this. */
export const DIRECTORY_EVERY = 30_000;
/** Of a house with very many rooms only this many are listed; the others are found by name. */
export const DIRECTORY_ROOMS = 500;
/** A room shows something to read before the person scrolls. */
export const ENOUGH_TO_READ = 30;

/**
 * What should be said now. It follows from what is known, not from what happened, so that after a lost connection nothing
 * has to be remembered: whatever is still lacking is asked for again.
 */
export function poll(chat: Chat, now: number): Command[] {
  if (!chat.ready) return [];
  const commands: Command[] = [];
  const say = (command: Command) => commands.push(chat.track(command));
  if (now >= chat.notBefore) {
    comeBack(chat, say);
    list(chat, now, say);
    if (chat.listed) enter(chat, say);
  }
  for (const room of chat.rooms.values()) {
    if (room.stage !== 'open') continue;
    fetch(chat, room, now, say);
    tellRead(chat, room, now, say);
  }
  const isOpen = (id: RoomId) => chat.room(id)?.stage === 'open';
  for (const item of chat.outbox.take(now, isOpen)) {
    say({ type: 'send', room: item.room, client_message_id: item.key, body: item.body });
  }
  return commands;
}

/** When `poll` may have something to say that it has not now. */
export function pollDeadline(chat: Chat, now: number): number | null {
  if (!chat.ready) return null;
  const due: number[] = [];
  if (chat.notBefore > now) due.push(chat.notBefore);
  for (const room of chat.rooms.values()) {
    if (room.fetchNotBefore > now) due.push(room.fetchNotBefore);
    if (room.stage === 'open' && hasNewsToTell(room)) due.push(chat.readAsked + READ_EVERY);
    for (const typer of room.typers.values()) due.push(typer.until);
  }
  const outbox = chat.outbox.deadline(now);
  if (outbox !== null) due.push(outbox);
  return due.length === 0 ? null : Math.min(...due);
}

/** Strikes out whoever stopped typing. */
export function expireTypers(chat: Chat, now: number): void {
  for (const room of chat.rooms.values()) {
    for (const [id, typer] of room.typers) if (typer.until <= now) room.typers.delete(id);
  }
}

/** Rooms that are held from before resume at their cursors at once; new ones as soon as they are listed. */
function comeBack(chat: Chat, say: (command: Command) => void): void {
  // While a name is to be found among the rooms, it is not yet known which of them is to show its recent messages.
  const wanted = chat.wanted === null ? undefined : chat.find(chat.wanted);
  const rooms: Record<RoomId, Seq> = {};
  let any = false;
  for (const room of chat.rooms.values()) {
    if (!room.member || room.stage !== 'closed' || (!room.log && !chat.listed)) continue;
    const shown = room.id === chat.active || room === wanted;
    room.askedAfter = room.log ? room.log.cursor : shown ? Math.max(0, room.head - RECENT) : room.head;
    room.stage = 'opening';
    rooms[room.id] = room.askedAfter;
    any = true;
    if (Object.keys(rooms).length >= 500) break;
  }
  if (any) say({ type: 'resume', rooms, epoch: chat.epoch });
}

function list(chat: Chat, now: number, say: (command: Command) => void): void {
  const asking = (joined: boolean) => chat.isUnderWay('rooms', (c) => c.type === 'rooms' && (c.joined ?? false) === joined);
  if (!chat.listed && !asking(true)) {
    say({ type: 'rooms', joined: true, ...(chat.listedUpTo && { after: chat.listedUpTo }) });
  }
  if (chat.listed && chat.directoryAsked === null && !asking(false)) {
    chat.directoryAsked = now;
    say({ type: 'rooms' });
  } else if (chat.directoryNext !== null && chat.directory.length < DIRECTORY_ROOMS && !asking(false)) {
    const after = chat.directoryNext;
    chat.directoryNext = null;
    say({ type: 'rooms', after });
  }
}

/** Brings the person into the room they want, or into the lobby. */
function enter(chat: Chat, say: (command: Command) => void): void {
  if (chat.wanted === null && chat.active === null) {
    const first = chat.find('lobby');
    chat.wanted = first?.member ? first.id : (chat.joinedRooms[0]?.id ?? 'lobby');
  }
  if (chat.wanted === null || chat.joining) return;
  const room = chat.find(chat.wanted);
  if (room?.member) {
    chat.wanted = null;
    chat.activate(room.id);
    return;
  }
  chat.joining = true;
  say({ type: 'join', room: chat.wanted });
}

function fetch(chat: Chat, room: Room, now: number, say: (command: Command) => void): void {
  if (!room.log || room.fetching || now < room.fetchNotBefore) return;
  const active = room.id === chat.active;
  // A room in the background keeps its holes until it is looked at.
  if (!active) return;
  const older = room.wantsOlder || room.log.events.length < ENOUGH_TO_READ;
  const fetch = nextFetch(room.log, { older, pull: room.pull, maxPage: chat.limits.history_events });
  if (!fetch) {
    room.wantsOlder = false;
    return;
  }
  room.fetching = fetch;
  say(asCommand(room.id, fetch));
}

function hasNewsToTell(room: Room): boolean {
  return room.read !== null && !room.readAssumed && room.read.seq > room.readTold;
}

function tellRead(chat: Chat, room: Room, now: number, say: (command: Command) => void): void {
  if (!room.read || !hasNewsToTell(room) || now < chat.readAsked + READ_EVERY) return;
  chat.readAsked = now;
  room.readTold = room.read.seq;
  say({ type: 'read', room: room.id, seq: room.read.seq });
}
