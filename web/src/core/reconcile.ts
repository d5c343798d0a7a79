import type { Command, RoomId, Seq } from '../protocol/types';
import { historyCommand, nextPage } from './backfill';
import { type Chat, INITIAL_EVENTS, READ_INTERVAL } from './chat';
import type { Room } from './room';

/** The maximum age of the directory while it is visible. */
export const DIRECTORY_MAX_AGE = 30_000;
/** At most this many rooms are listed; others are found by name. */
export const DIRECTORY_MAX_ROOMS = 500;
/** Older events are fetched until a room shows at least this many. */
export const MIN_EVENTS = 30;

/**
 * Returns the commands to send now. They are derived from the state, not from past events: after a lost connection nothing has
 * to be remembered, and whatever is missing is requested again.
 */
export function reconcile(chat: Chat, now: number): Command[] {
  if (!chat.ready) return [];
  const commands: Command[] = [];
  const send = (command: Command) => commands.push(chat.track(command));
  if (now >= chat.retryAt) {
    resumeRooms(chat, send);
    loadRooms(chat, now, send);
    if (chat.roomsLoaded) openPendingRoom(chat, send);
  }
  for (const room of chat.rooms.values()) {
    if (room.state !== 'open') continue;
    fetchHistory(chat, room, now, send);
    reportRead(chat, room, now, send);
  }
  const isOpen = (id: RoomId) => chat.room(id)?.state === 'open';
  for (const item of chat.outbox.take(now, isOpen)) {
    send({ type: 'send', room: item.room, client_message_id: item.key, body: item.body });
  }
  return commands;
}

/** When `reconcile` may next return commands that it does not return now. */
export function reconcileDeadline(chat: Chat, now: number): number | null {
  if (!chat.ready) return null;
  const due: number[] = [];
  if (chat.retryAt > now) due.push(chat.retryAt);
  for (const room of chat.rooms.values()) {
    if (room.fetchRetryAt > now) due.push(room.fetchRetryAt);
    if (room.state === 'open' && hasUnreportedRead(room)) due.push(chat.readSentAt + READ_INTERVAL);
    for (const typer of room.typers.values()) due.push(typer.until);
  }
  const outbox = chat.outbox.deadline(now);
  if (outbox !== null) due.push(outbox);
  return due.length === 0 ? null : Math.min(...due);
}

/** Removes users who stopped typing. */
export function expireTypers(chat: Chat, now: number): void {
  for (const room of chat.rooms.values()) {
    for (const [id, typer] of room.typers) if (typer.until <= now) room.typers.delete(id);
  }
}

/** Resumes loaded rooms at their cursors at once, and other rooms as soon as they are listed. */
function resumeRooms(chat: Chat, send: (command: Command) => void): void {
  // A pending name may match one of these rooms, which then shows its recent messages.
  const target = chat.pendingRoom === null ? undefined : chat.find(chat.pendingRoom);
  const rooms: Record<RoomId, Seq> = {};
  let any = false;
  for (const room of chat.rooms.values()) {
    if (!room.member || room.state !== 'closed' || (!room.log && !chat.roomsLoaded)) continue;
    const shown = room.id === chat.active || room === target;
    room.requestedAfter = room.log ? room.log.cursor : shown ? Math.max(0, room.head - INITIAL_EVENTS) : room.head;
    room.state = 'opening';
    rooms[room.id] = room.requestedAfter;
    any = true;
    if (Object.keys(rooms).length >= 500) break;
  }
  if (any) send({ type: 'resume', rooms, epoch: chat.epoch });
}

function loadRooms(chat: Chat, now: number, send: (command: Command) => void): void {
  const asking = (joined: boolean) => chat.isPending('rooms', (c) => c.type === 'rooms' && (c.joined ?? false) === joined);
  if (!chat.roomsLoaded && !asking(true)) {
    send({ type: 'rooms', joined: true, ...(chat.roomsAfter && { after: chat.roomsAfter }) });
  }
  if (chat.roomsLoaded && chat.directoryAt === null && !asking(false)) {
    chat.directoryAt = now;
    send({ type: 'rooms' });
  } else if (chat.directoryAfter !== null && chat.directory.length < DIRECTORY_MAX_ROOMS && !asking(false)) {
    const after = chat.directoryAfter;
    chat.directoryAfter = null;
    send({ type: 'rooms', after });
  }
}

/** Opens the pending room, or the lobby. */
function openPendingRoom(chat: Chat, send: (command: Command) => void): void {
  if (chat.pendingRoom === null && chat.active === null) {
    const first = chat.find('lobby');
    chat.pendingRoom = first?.member ? first.id : (chat.joinedRooms[0]?.id ?? 'lobby');
  }
  if (chat.pendingRoom === null || chat.joining) return;
  const room = chat.find(chat.pendingRoom);
  if (room?.member) {
    chat.pendingRoom = null;
    chat.activate(room.id);
    return;
  }
  chat.joining = true;
  send({ type: 'join', room: chat.pendingRoom });
}

function fetchHistory(chat: Chat, room: Room, now: number, send: (command: Command) => void): void {
  if (!room.log || room.fetching || now < room.fetchRetryAt) return;
  const active = room.id === chat.active;
  // Gaps of background rooms stay until the room becomes active.
  if (!active) return;
  const older = room.needsOlder || room.log.events.length < MIN_EVENTS;
  const fetch = nextPage(room.log, { older, gap: room.gapTarget, maxPage: chat.limits.history_events });
  if (!fetch) {
    room.needsOlder = false;
    return;
  }
  room.fetching = fetch;
  send(historyCommand(room.id, fetch));
}

function hasUnreportedRead(room: Room): boolean {
  return room.read !== null && !room.readAssumed && room.read.seq > room.readReported;
}

function reportRead(chat: Chat, room: Room, now: number, send: (command: Command) => void): void {
  if (!room.read || !hasUnreportedRead(room) || now < chat.readSentAt + READ_INTERVAL) return;
  chat.readSentAt = now;
  room.readReported = room.read.seq;
  send({ type: 'read', room: room.id, seq: room.read.seq });
}
