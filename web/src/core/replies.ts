import type { Command, CommandOf, ErrorFrame, OkFrame, RoomId, RoomSummary, UserId } from '../protocol/types';
import { coveredRange } from './backfill';
import { retryDelay } from './backoff';
import type { Chat } from './chat';

/** Applies an `ok` to the command that it answers. */
export function onOk(chat: Chat, command: Command, ok: OkFrame, now: number, random: number): void {
  switch (command.type) {
    case 'rooms':
      return command.joined ? onJoinedRooms(chat, ok) : onDirectory(chat, command, ok);
    case 'history':
      return onHistory(chat, command, ok, now, random);
    case 'send':
      return onSent(chat, command, ok);
    case 'leave': {
      const room = chat.find(command.room);
      if (room) chat.dropRoom(room);
      chat.directoryAt = null;
      return;
    }
    case 'rename':
      if (chat.you && ok.name !== undefined) {
        chat.you = { id: chat.you.id, name: ok.name };
        chat.notices.push({ kind: 'renamed', name: ok.name });
      }
      return;
    case 'read': {
      const room = chat.find(command.room);
      if (room && ok.seq !== undefined && ok.n !== undefined) room.updateRead({ seq: ok.seq, n: ok.n });
      return;
    }
    case 'who':
      return onUsers(chat, command, ok);
    default:
      return;
  }
}

/** Handles an error. Commands of `reconcile` are retried silently; the error of a command that the user started is shown. */
export function onCommandError(chat: Chat, command: Command, error: ErrorFrame, now: number, random: number): void {
  const wait = retryDelay(2, random, error.retry_after_ms);
  switch (command.type) {
    case 'send':
      return chat.outbox.onError(command.client_message_id, error, now, random);
    case 'history': {
      const room = chat.find(command.room);
      if (!room) return;
      room.fetching = null;
      room.fetchAttempt += 1;
      room.fetchRetryAt = now + retryDelay(room.fetchAttempt, random, wait);
      return;
    }
    case 'join':
      chat.joining = false;
      if (error.retryable) {
        chat.retryAt = now + wait;
        if (error.code !== 'rate_limited') return;
      } else {
        chat.pendingRoom = chat.active === null && command.room !== 'lobby' ? 'lobby' : null;
      }
      chat.notices.push({ kind: 'failed', command: 'join', code: error.code, subject: command.room });
      return;
    case 'resume':
      for (const id of Object.keys(command.rooms) as RoomId[]) {
        const room = chat.room(id);
        if (room?.state === 'opening') room.state = 'closed';
      }
      chat.retryAt = now + wait;
      return;
    case 'rooms':
      chat.retryAt = now + wait;
      return;
    default:
      if (!chat.startedByUser.has(command)) return;
      chat.notices.push({ kind: 'failed', command: command.type, code: error.code, line: chat.startedByUser.get(command) });
  }
}

/** Applies a page of the joined rooms. */
function onJoinedRooms(chat: Chat, ok: OkFrame): void {
  addJoinedRooms(chat, ok.rooms ?? []);
  if (ok.next !== undefined) {
    chat.roomsAfter = ok.next as RoomId;
    return;
  }
  chat.roomsLoaded = true;
  chat.outbox.retainRooms((room) => chat.room(room)?.member ?? false);
}

/** Adds joined rooms; `reconcile` opens them. */
function addJoinedRooms(chat: Chat, rooms: readonly RoomSummary[]): void {
  for (const summary of rooms) {
    const room = chat.ensureRoom(summary.room, summary.name);
    room.member = true;
    if (room.state === 'open') continue;
    room.head = summary.head;
    room.n = summary.n;
    room.count = summary.count;
    room.updateAttributes(summary, summary.head);
    room.updateRead(summary.read);
  }
}

function onDirectory(chat: Chat, command: CommandOf<'rooms'>, ok: OkFrame): void {
  const page = ok.rooms ?? [];
  chat.directory = command.after === undefined ? page : [...chat.directory, ...page];
  // Includes rooms that were joined in another tab.
  if (!chat.isPending('leave')) addJoinedRooms(chat, page.filter((room) => room.joined && !chat.room(room.room)?.member));
  chat.directoryAfter = ok.next === undefined ? null : (ok.next as RoomId);
}

function onHistory(chat: Chat, command: CommandOf<'history'>, ok: OkFrame, now: number, random: number): void {
  const room = chat.find(command.room);
  const request = room?.fetching;
  if (!room || !request) return;
  room.fetching = null;
  // The room was dropped and opened again in the meantime; it sends its own request.
  if (!room.log || request.after !== command.after || request.before !== command.before) return;
  const events = ok.events ?? [];
  const more = ok.more ?? false;
  if (events.length === 0 && more) {
    // An empty page with `more` makes no progress, so the retry is delayed.
    room.fetchAttempt += 1;
    room.fetchRetryAt = now + retryDelay(room.fetchAttempt + 2, random);
    return;
  }
  room.fetchAttempt = 0;
  room.fetchRetryAt = 0;
  room.log.merge(events, coveredRange(request, events, more));
  if (request.before !== undefined) {
    room.needsOlder = false;
    room.gapTarget = null;
  }
  for (const event of events) {
    // Also one that a gap left out.
    room.applyAttributes(event);
    if (event.type === 'message' && event.by.id === chat.you?.id && event.client_message_id !== undefined) {
      chat.outbox.settle(event.client_message_id);
    }
  }
}

function onSent(chat: Chat, command: CommandOf<'send'>, ok: OkFrame): void {
  const log = chat.find(command.room)?.log;
  const seq = ok.seq ?? 0;
  // An event below the floor, or in a gap, does not arrive by itself either.
  chat.outbox.confirm(command.client_message_id, seq, log ? seq <= log.cursor : true);
}

function onUsers(chat: Chat, command: CommandOf<'who'>, ok: OkFrame): void {
  const room = chat.find(command.room);
  if (!room || !ok.users) return;
  if (command.after === undefined) room.users.clear();
  for (const user of ok.users) room.users.set(user.id, user.name);
  if (ok.count !== undefined) room.count = ok.count;
  room.usersAfter = ok.next === undefined ? null : (ok.next as UserId);
}
