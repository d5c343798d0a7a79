import type {
  ErrorFrame, Gap, Joined, MessageEvent, OkFrame, Presence, Reset, RoomEvent, ServerFrame, Typing, Welcome,
} from '../protocol/types';
import { retryDelay } from './backoff';
import { type Chat, MAX_EVENTS, MAX_EVENTS_BACKGROUND } from './chat';
import { onCommandError, onOk } from './replies';
import { type Room, TYPING_TIMEOUT } from './room';

/** Applies one frame of the server. */
export function receive(chat: Chat, frame: ServerFrame, now: number, random: number): void {
  switch (frame.type) {
    case 'welcome':
      return onWelcome(chat, frame);
    case 'joined':
      return onJoined(chat, frame);
    case 'ok':
      return onAnswered(chat, frame, now, random);
    case 'error':
      return onError(chat, frame, now, random);
    case 'gap':
      return onGap(chat, frame);
    case 'reset':
      return onReset(chat, frame);
    case 'presence':
      return onPresence(chat, frame);
    case 'typing':
      return onTyping(chat, frame, now);
    default:
      return onEvent(chat, frame);
  }
}

function onWelcome(chat: Chat, welcome: Welcome): void {
  if (chat.you && chat.you.id !== welcome.you.id) {
    // Another user: discard everything.
    chat.rooms.clear();
    chat.active = null;
  }
  if (chat.epoch !== '' && chat.epoch !== welcome.epoch) {
    // Cursors of another epoch are invalid.
    chat.notices.push({ kind: 'reset' });
    for (const room of chat.rooms.values()) room.clear();
  }
  chat.you = welcome.you;
  chat.epoch = welcome.epoch;
  chat.limits = welcome.limits;
  chat.outbox.setEpoch(welcome.epoch);
  chat.ready = true;
}

function onJoined(chat: Chat, joined: Joined): void {
  const command = joined.id === undefined ? undefined : chat.pending.get(joined.id);
  if (joined.id !== undefined) chat.pending.delete(joined.id);
  const room = chat.ensureRoom(joined.room, joined.name);
  room.member = true;
  room.state = 'open';
  room.head = Math.max(room.head, joined.head);
  room.catchUpEnd = joined.head;
  room.n = joined.n;
  room.updateAttributes(joined, joined.head);
  room.setUsers(joined.count, joined.online);
  room.updateRead(joined.read);
  if (!room.read) {
    // For a new member, older messages are not unread.
    room.read = { seq: joined.head, n: joined.n };
    // Unless another page joined and did not report its position yet: reporting is up to that page.
    room.readAssumed = command?.type !== 'join';
  }
  if (!room.log) {
    // A `join` by name has no cursor, so only new events arrive; the rest is loaded as older events.
    const after = room.requestedAfter ?? (command?.type === 'join' ? command.after : undefined) ?? joined.head;
    room.startLog(Math.min(after, joined.head));
  }
  room.requestedAfter = undefined;
  if (room.unread > 0 && room.marker === null && chat.active === room.id && chat.focused !== room.id) room.marker = room.read.seq;
  if (command?.type === 'join') {
    chat.joining = false;
    chat.pendingRoom = null;
    chat.activate(room.id);
  }
}

function onEvent(chat: Chat, event: RoomEvent): void {
  const room = chat.room(event.room);
  const log = room?.log;
  if (!room || !log) return;
  const live = event.seq > room.catchUpEnd;
  if (!log.apply(event)) return;
  room.head = Math.max(room.head, event.seq);
  const unreadBefore = room.unread;
  room.n = Math.max(room.n, event.n);
  room.applyAttributes(event);
  if (event.type === 'message') onMessage(chat, room, event, unreadBefore, live);
  else if (event.type === 'renamed') onRenamed(chat, room, event.by.id, event.by.name, live);
  else if (event.type === 'member_left' && live) onLeft(chat, room, event);
  if (chat.focused === room.id) room.markRead();
  // The view may show any part of the active room, so it is trimmed in large steps; other rooms are trimmed early.
  const keep = chat.active === room.id ? MAX_EVENTS : MAX_EVENTS_BACKGROUND;
  if (log.events.length > keep * 1.5) log.trim(keep);
}

function onMessage(chat: Chat, room: Room, event: MessageEvent, unreadBefore: number, live: boolean): void {
  const own = event.by.id === chat.you?.id;
  room.typers.delete(event.by.id);
  if (own) {
    if (event.client_message_id !== undefined) chat.outbox.settle(event.client_message_id);
    // Sending implies having read.
    if (unreadBefore === 0) room.markRead();
    return;
  }
  if (unreadBefore === 0 && live && chat.focused !== room.id) room.marker = event.seq - 1;
  if (live && chat.active === room.id) chat.announcements.push(event);
}

function onRenamed(chat: Chat, room: Room, id: MessageEvent['by']['id'], name: string, live: boolean): void {
  if (!live) return;
  if (room.users.has(id)) room.users.set(id, name);
  if (chat.you?.id === id) chat.you = { id, name };
}

function onLeft(chat: Chat, room: Room, event: RoomEvent): void {
  room.users.delete(event.by.id);
  // Left in another tab.
  if (event.by.id === chat.you?.id) chat.dropRoom(room);
}

function onGap(chat: Chat, gap: Gap): void {
  const room = chat.room(gap.room);
  if (!room?.log) return;
  // Nothing was loaded yet: what the page did not request is loaded like older events, from the end.
  if (room.log.cursor === room.log.floor && room.log.events.length === 0) room.startLog(gap.to);
  else room.log.markGap(gap.to);
  room.head = Math.max(room.head, gap.to);
  chat.outbox.settleUpTo(room.id, gap.to);
  if (chat.focused === room.id) room.markRead();
}

function onReset(chat: Chat, reset: Reset): void {
  chat.epoch = reset.epoch;
  chat.outbox.setEpoch(reset.epoch);
  const room = chat.room(reset.room);
  if (!room) return;
  room.clear();
  room.head = 0;
  room.n = 0;
  // Events of the dropped epoch do not arrive any more.
  chat.outbox.settleUpTo(room.id, Infinity);
}

function onPresence(chat: Chat, presence: Presence): void {
  const room = chat.room(presence.room);
  if (!room) return;
  room.count = presence.count;
  for (const id of presence.offline ?? []) {
    room.users.delete(id);
    room.typers.delete(id);
  }
  for (const user of presence.online ?? []) room.users.set(user.id, user.name);
}

function onTyping(chat: Chat, typing: Typing, now: number): void {
  if (typing.by.id === chat.you?.id) return;
  chat.room(typing.room)?.typers.set(typing.by.id, { name: typing.by.name, until: now + TYPING_TIMEOUT });
}

function onAnswered(chat: Chat, ok: OkFrame, now: number, random: number): void {
  const command = ok.id === undefined ? undefined : chat.pending.get(ok.id);
  if (!command || ok.id === undefined) return;
  chat.pending.delete(ok.id);
  onOk(chat, command, ok, now, random);
}

function onError(chat: Chat, error: ErrorFrame, now: number, random: number): void {
  const command = error.id === undefined ? undefined : chat.pending.get(error.id);
  if (command && error.id !== undefined) {
    chat.pending.delete(error.id);
    return onCommandError(chat, command, error, now, random);
  }
  const room = error.room === undefined ? undefined : chat.room(error.room);
  if (!room) return;
  // `resume` failed for this room.
  if (error.retryable) {
    room.state = 'closed';
    chat.retryAt = now + retryDelay(2, random, error.retry_after_ms);
  } else if (room.member) {
    chat.notices.push({ kind: 'removed', room: room.name });
    chat.dropRoom(room);
  }
}

