import type {
  ErrorFrame, Gap, Joined, MessageEvent, OkFrame, Presence, Reset, RoomEvent, ServerFrame, Typing, Welcome,
} from '../protocol/types';
import { backoff } from './backoff';
import { type Chat, KEEP_EVENTS, KEEP_EVENTS_UNWATCHED } from './chat';
import { onOk, onRefused } from './replies';
import { type Room, TYPING_SHOWN } from './room';

/** Takes in one thing that the server said. */
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
    // Another person: nothing of what is here is theirs.
    chat.rooms.clear();
    chat.active = null;
  }
  if (chat.epoch !== '' && chat.epoch !== welcome.epoch) {
    // Cursors of another life of the store mean nothing in this one.
    chat.notices.push({ is: 'reset' });
    for (const room of chat.rooms.values()) room.forget();
  }
  chat.you = welcome.you;
  chat.epoch = welcome.epoch;
  chat.limits = welcome.limits;
  chat.outbox.entered(welcome.epoch);
  chat.ready = true;
}

function onJoined(chat: Chat, joined: Joined): void {
  const asked = joined.id === undefined ? undefined : chat.underWay.get(joined.id);
  if (joined.id !== undefined) chat.underWay.delete(joined.id);
  const room = chat.ensureRoom(joined.room, joined.name);
  room.member = true;
  room.stage = 'open';
  room.head = Math.max(room.head, joined.head);
  room.caughtUpAt = joined.head;
  room.n = joined.n;
  room.setPeople(joined.count, joined.online);
  room.learnRead(joined.read);
  if (!room.read) {
    // To a newcomer, what was said before they came is not unread.
    room.read = { seq: joined.head, n: joined.n };
    // Unless they came in on another page, which has not said yet how far they have seen: that is for it to tell.
    room.readAssumed = asked?.type !== 'join';
  }
  if (!room.log) {
    // A `join` by name names no cursor, so only what is new will come: the rest is loaded as older.
    const after = room.askedAfter ?? (asked?.type === 'join' ? asked.after : undefined) ?? joined.head;
    room.beginLog(Math.min(after, joined.head));
  }
  room.askedAfter = undefined;
  if (room.unread > 0 && room.marker === null && chat.active === room.id && chat.attended !== room.id) room.marker = room.read.seq;
  if (asked?.type === 'join') {
    chat.joining = false;
    chat.wanted = null;
    chat.activate(room.id);
  }
}

function onEvent(chat: Chat, event: RoomEvent): void {
  const room = chat.room(event.room);
  const log = room?.log;
  if (!room || !log) return;
  const live = event.seq > room.caughtUpAt;
  if (!log.apply(event)) return;
  room.head = Math.max(room.head, event.seq);
  const unreadBefore = room.unread;
  room.n = Math.max(room.n, event.n);
  if (event.type === 'message') onMessage(chat, room, event, unreadBefore, live);
  else if (event.type === 'renamed') onRenamed(chat, room, event.by.id, event.by.name, live);
  else if (event.type === 'member_left' && live) onLeft(chat, room, event);
  if (chat.attended === room.id) room.seen();
  // The screen may show any part of the active room; it is let go of in large steps, and the others early.
  const keep = chat.active === room.id ? KEEP_EVENTS : KEEP_EVENTS_UNWATCHED;
  if (log.events.length > keep * 1.5) log.trim(keep);
}

function onMessage(chat: Chat, room: Room, event: MessageEvent, unreadBefore: number, live: boolean): void {
  const own = event.by.id === chat.you?.id;
  room.typers.delete(event.by.id);
  if (own) {
    if (event.client_message_id !== undefined) chat.outbox.settle(event.client_message_id);
    // Whoever speaks has seen what was there.
    if (unreadBefore === 0) room.seen();
    return;
  }
  if (unreadBefore === 0 && live && chat.attended !== room.id) room.marker = event.seq - 1;
  if (live && chat.active === room.id) chat.announced.push(event);
}

function onRenamed(chat: Chat, room: Room, id: MessageEvent['by']['id'], name: string, live: boolean): void {
  if (!live) return;
  if (room.people.has(id)) room.people.set(id, name);
  if (chat.you?.id === id) chat.you = { id, name };
}

function onLeft(chat: Chat, room: Room, event: RoomEvent): void {
  room.people.delete(event.by.id);
  // Left in another tab.
  if (event.by.id === chat.you?.id) dropRoom(chat, room);
}

/** The person is no member any more. */
export function dropRoom(chat: Chat, room: Room): void {
  room.member = false;
  room.stage = 'closed';
  room.forget();
  room.setPeople(0, []);
  chat.outbox.leftRoom(room.id);
  if (chat.active !== room.id) return;
  chat.active = null;
  chat.attended = null;
  const next = chat.find('lobby');
  const refuge = next?.member ? next : chat.joinedRooms[0];
  if (refuge) chat.activate(refuge.id);
  else chat.wanted = 'lobby';
}

function onGap(chat: Chat, gap: Gap): void {
  const room = chat.room(gap.room);
  if (!room?.log) return;
  // Nothing was loaded yet: what the page did not ask to show is loaded as older events are, from the end.
  if (room.log.cursor === room.log.floor && room.log.events.length === 0) room.beginLog(gap.to);
  else room.log.gap(gap.to);
  room.head = Math.max(room.head, gap.to);
  chat.outbox.settleWithin(room.id, gap.to);
  if (chat.attended === room.id) room.seen();
}

function onReset(chat: Chat, reset: Reset): void {
  chat.epoch = reset.epoch;
  chat.outbox.entered(reset.epoch);
  const room = chat.room(reset.room);
  if (!room) return;
  room.forget();
  room.head = 0;
  room.n = 0;
  // No event of the cache that is dropped comes any more.
  chat.outbox.settleWithin(room.id, Infinity);
}

function onPresence(chat: Chat, presence: Presence): void {
  const room = chat.room(presence.room);
  if (!room) return;
  room.count = presence.count;
  for (const id of presence.offline ?? []) {
    room.people.delete(id);
    room.typers.delete(id);
  }
  for (const person of presence.online ?? []) room.people.set(person.id, person.name);
}

function onTyping(chat: Chat, typing: Typing, now: number): void {
  if (typing.by.id === chat.you?.id) return;
  chat.room(typing.room)?.typers.set(typing.by.id, { name: typing.by.name, until: now + TYPING_SHOWN });
}

function onAnswered(chat: Chat, ok: OkFrame, now: number, random: number): void {
  const command = ok.id === undefined ? undefined : chat.underWay.get(ok.id);
  if (!command || ok.id === undefined) return;
  chat.underWay.delete(ok.id);
  onOk(chat, command, ok, now, random);
}

function onError(chat: Chat, error: ErrorFrame, now: number, random: number): void {
  const command = error.id === undefined ? undefined : chat.underWay.get(error.id);
  if (command && error.id !== undefined) {
    chat.underWay.delete(error.id);
    return onRefused(chat, command, error, now, random);
  }
  const room = error.room === undefined ? undefined : chat.room(error.room);
  if (!room) return;
  // A room of a `resume` that could not be opened.
  if (error.retryable) {
    room.stage = 'closed';
    chat.notBefore = now + Math.max(error.retry_after_ms ?? 0, backoff(2, 0.5 + random / 2));
  } else if (room.member) {
    chat.notices.push({ is: 'gone', room: room.name });
    dropRoom(chat, room);
  }
}

