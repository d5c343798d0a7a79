import { beforeEach, describe, expect, test } from 'vitest';
import type { Command, ServerFrame } from '../protocol/types';
import { Chat, READ_INTERVAL, TYPING_INTERVAL } from './chat';
import { expireTypers, reconcile, reconcileDeadline } from './reconcile';
import { receive } from './receive';
import { TYPING_TIMEOUT } from './room';
import { at, chatInLobby, message, welcome } from './testing';
import * as actions from './actions';

let chat: Chat;
let now = 10_000;
const hear = (...frames: ServerFrame[]) => frames.forEach((frame) => receive(chat, frame, now, 0));
const ask = () => reconcile(chat, now);
const kinds = (commands: Command[]) => commands.map((command) => command.type);
const joined = (more: object = {}): ServerFrame => ({ type: 'joined', room: 'r1', name: 'lobby', head: 57, n: 51, count: 1, online: [], ...more });
const summary = (more: object = {}) => ({ room: 'r1' as const, name: 'lobby', head: 57, n: 51, count: 1, joined: true, ...more });

beforeEach(() => {
  chat = new Chat();
  now = 10_000;
});

describe('coming in', () => {
  test('a newcomer asks for their rooms, has none, and joins the lobby', () => {
    expect(ask()).toEqual([]);
    hear(welcome());
    expect(ask()).toEqual([{ type: 'rooms', joined: true, id: 1 }]);
    hear({ type: 'ok', id: 1, rooms: [] });
    expect(ask()).toEqual([{ type: 'rooms', id: 2 }, { type: 'join', room: 'lobby', id: 3 }]);
    hear(joined({ id: 3 }));
    expect(chat.activeRoom?.name).toBe('lobby');
    expect(ask(), 'and what was said before is loaded').toEqual([{ type: 'history', room: 'r1', before: 58, limit: 100, id: 4 }, { type: 'read', room: 'r1', seq: 57, id: 5 }]);
  });

  test('to a newcomer nothing is unread', () => {
    hear(welcome(), joined());
    expect(chat.room('r1')?.unread).toBe(0);
  });

  test('of a room that was joined on another page, which has not told yet what was seen there, nothing is claimed to be seen', () => {
    hear(welcome());
    ask();
    hear({ type: 'ok', id: 1, rooms: [summary(), summary({ room: 'r2', name: 'tea', head: 9, n: 8 })] });
    chat.pendingRoom = 'lobby';
    ask();
    hear(joined({ read: { seq: 57, n: 51 } }), joined({ room: 'r2', name: 'tea', head: 9, n: 8 }));
    now += READ_INTERVAL;
    expect(kinds(ask())).not.toContain('read');
    actions.setFocusedRoom(chat, 'r2');
    hear(message(10, { room: 'r2' }));
    now += READ_INTERVAL;
    expect(ask().filter((command) => command.type === 'read')).toMatchObject([{ room: 'r2', seq: 10 }]);
  });

  test('a guest of old resumes all rooms, near the end only in the one they see', () => {
    chat.pendingRoom = '#Tea';
    hear(welcome());
    ask();
    hear({ type: 'ok', id: 1, rooms: [summary(), summary({ room: 'r2', name: 'tea', head: 900 })] });
    const resume = ask().find((command) => command.type === 'resume');
    expect(resume).toEqual({ type: 'resume', rooms: { r1: 57, r2: 840 }, epoch: 'e1', id: 2 });
    ask();
    expect(chat.activeRoom?.id).toBe('r2');
  });

  test('a room joined in another tab is opened here when the rooms are listed again', () => {
    chat = chatInLobby(3);
    const [rooms] = ask().filter((command) => command.type === 'rooms');
    hear({ type: 'ok', id: rooms!.id!, rooms: [summary({ head: 3 }), summary({ room: 'r2', name: 'tea', head: 9 }), summary({ room: 'r3', name: 'other', joined: false })] });
    expect(ask().filter((command) => command.type === 'resume')).toMatchObject([{ rooms: { r2: 9 } }]);
    expect(chat.room('r3')).toBeUndefined();
  });

  test('what waits for a room that was left elsewhere does not go out by itself when one comes back to it', () => {
    chat.outbox.restore([{ key: 'k', room: 'r2', body: 'old', at: 1, epoch: 'e1', state: 'waiting', attempt: 0, retryAt: 0 }]);
    hear(welcome());
    ask();
    hear({ type: 'ok', id: 1, rooms: [summary()], next: 'r1' });
    const [rest] = ask().filter((command) => command.type === 'rooms');
    expect(chat.outbox.items, 'while not all rooms are known').toMatchObject([{ state: 'waiting' }]);
    hear({ type: 'ok', id: rest!.id!, rooms: [] });
    expect(chat.outbox.items).toMatchObject([{ state: 'failed', code: 'not_a_member' }]);
    expect(chat.outbox.drainChanges()).toMatchObject([{ save: { key: 'k', state: 'failed' } }]);
  });

  test('many rooms are listed page by page', () => {
    hear(welcome());
    ask();
    hear({ type: 'ok', id: 1, rooms: [summary()], next: 'r1' });
    expect(ask()).toEqual([{ type: 'rooms', joined: true, after: 'r1', id: 2 }]);
  });

  test('a room that cannot be opened is told, and the lobby is the refuge', () => {
    chat.pendingRoom = 'r12x';
    hear(welcome());
    ask();
    hear({ type: 'ok', id: 1, rooms: [] });
    const join = ask().find((command) => command.type === 'join')!;
    hear({ type: 'error', id: join.id!, code: 'too_many_rooms', message: '', retryable: false });
    expect(chat.notices).toEqual([{ kind: 'failed', command: 'join', code: 'too_many_rooms', subject: 'r12x' }]);
    expect(ask()).toMatchObject([{ type: 'join', room: 'lobby' }]);
  });

  test('a join that was too fast is tried again by itself', () => {
    hear(welcome());
    ask();
    hear({ type: 'ok', id: 1, rooms: [] });
    const join = ask().find((command) => command.type === 'join')!;
    hear({ type: 'error', id: join.id!, code: 'rate_limited', message: '', retryable: true, retry_after_ms: 4_000 });
    expect(ask()).toEqual([]);
    expect(reconcileDeadline(chat, now)).toBe(now + 4_000);
    now += 4_000;
    expect(kinds(ask())).toEqual(['join']);
  });
});

describe('coming back', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
    chat.disconnected();
    hear(welcome());
  });

  test('a room resumes at the last event that was applied, before anything else is known', () => {
    expect(ask()[0]).toMatchObject({ type: 'resume', rooms: { r1: 3 }, epoch: 'e1' });
  });

  test('an `ok` moves no cursor', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k', now);
    hear(joined({ head: 3, n: 3 }));
    const send = ask().find((command) => command.type === 'send')!;
    hear({ type: 'ok', id: send.id!, seq: 9 });
    expect(chat.room('r1')?.log?.cursor).toBe(3);
    expect(chat.outbox.items).toMatchObject([{ state: 'delivered' }]);
    chat.disconnected();
    hear(welcome());
    expect(ask()[0]).toMatchObject({ type: 'resume', rooms: { r1: 3 } });
  });

  test('a room one was taken out of meanwhile is left, and told', () => {
    ask();
    hear({ type: 'error', room: 'r1', code: 'not_a_member', message: '', retryable: false });
    expect(chat.notices).toEqual([{ kind: 'removed', room: 'lobby' }]);
    expect(chat.room('r1')?.member).toBe(false);
  });

  test('a resume that was refused for now is tried again', () => {
    const [resume] = ask();
    hear({ type: 'error', id: resume!.id!, code: 'overloaded', message: '', retryable: true, retry_after_ms: 5_000 });
    expect(kinds(ask())).toEqual([]);
    now += 5_000;
    expect(kinds(ask())).toContain('resume');
  });

  test('another epoch drops what is held, and cursors of the old one are not sent into it', () => {
    chat.disconnected();
    hear(welcome('e2'));
    expect(ask().filter((command) => command.type === 'resume')).toEqual([]);
    expect(chat.room('r1')?.log).toBeNull();
    expect(chat.notices).toEqual([{ kind: 'reset' }]);
  });

  test('`reset` ends the waiting for the event of what was answered', () => {
    chat = chatInLobby(5);
    actions.sendMessage(chat, 'r1', 'tea', 'k', now);
    const send = ask().find((command) => command.type === 'send');
    hear({ type: 'ok', id: send!.id!, seq: 6 });
    expect(chat.outbox.items).toMatchObject([{ state: 'delivered' }]);
    hear({ type: 'reset', room: 'r1', epoch: 'e1' }, joined({ head: 2, n: 2 }));
    expect(chat.outbox.items).toEqual([]);
  });

  test('`reset` drops the room, and `joined` begins it anew at its head', () => {
    ask();
    hear({ type: 'reset', room: 'r1', epoch: 'e1' }, joined({ head: 2, n: 2 }));
    expect(chat.room('r1')?.log).toMatchObject({ cursor: 2, floor: 2, events: [] });
  });

  test('another person inherits nothing', () => {
    chat.disconnected();
    hear(welcome('e1', 'u99'));
    expect(chat.rooms.size).toBe(0);
  });
});

describe('unread', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
  });

  test('is the difference of the messages, and nothing while the person looks', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    hear(message(4));
    expect(room.unread).toBe(0);
    actions.setFocusedRoom(chat, null);
    hear(message(5), message(6), { type: 'member_joined', room: 'r1', seq: 7, n: 6, by: { id: 'u9', name: 'Bob' }, at: at(7) });
    expect(room.unread).toBe(2);
    expect(room.marker, 'the line stands before the first of them').toBe(4);
    actions.setFocusedRoom(chat, 'r1');
    expect(room.unread).toBe(0);
    expect(room.marker, 'and stays while they are read').toBe(4);
  });

  test('people who joined together are one event, and no news, whoever is among them', () => {
    const room = chat.room('r1')!;
    const others = [{ id: 'u10' as const, name: 'Cleo' }, { id: 'u7' as const, name: '李雷' }];
    hear({ type: 'member_joined', room: 'r1', seq: 4, n: 3, by: { id: 'u9', name: 'Bob' }, also_joined: others, at: at(4) }, message(5, { n: 4 }));
    expect([room.unread, room.marker, room.log?.cursor, room.member]).toEqual([1, 4, 5, true]);
  });

  test('one’s own message is not news', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    actions.setFocusedRoom(chat, null);
    hear(message(4, { by: { id: 'u7', name: '李雷' } }));
    expect([room.unread, room.marker]).toEqual([0, null]);
  });

  test('begins, after a lost connection, at the line where one was cut off', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    chat.disconnected();
    hear(welcome(), joined({ head: 2000, n: 2000, read: { seq: 3, n: 3 } }), { type: 'gap', room: 'r1', from: 4, to: 2000 });
    expect([room.unread, room.marker]).toEqual([1997, 3]);
    actions.setFocusedRoom(chat, 'r1');
    expect([room.unread, room.read?.seq]).toEqual([0, 2000]);
    hear({ type: 'gap', room: 'r1', from: 2001, to: 2009 });
    expect(room.read?.seq).toBe(2009);
  });

  test('goes to the server at most every two seconds, with the last position', () => {
    actions.setFocusedRoom(chat, 'r1');
    expect(ask().filter((command) => command.type === 'read')).toMatchObject([{ room: 'r1', seq: 3 }]);
    hear(message(4), message(5));
    now += 100;
    expect(kinds(ask())).not.toContain('read');
    expect(reconcileDeadline(chat, now)).toBe(now - 100 + READ_INTERVAL);
    now += READ_INTERVAL;
    expect(ask().filter((command) => command.type === 'read')).toMatchObject([{ seq: 5 }]);
  });

  test('is told again after a lost connection, unless the server knew', () => {
    actions.setFocusedRoom(chat, 'r1');
    ask();
    chat.disconnected();
    now += READ_INTERVAL;
    hear(welcome(), joined({ head: 3, n: 3, read: { seq: 1, n: 1 } }));
    expect(ask().filter((command) => command.type === 'read')).toMatchObject([{ seq: 3 }]);
  });

  test('a position learned from the server never moves back', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    room.updateRead({ seq: 1, n: 1 });
    expect(room.read?.seq).toBe(3);
  });

  test('in a room in the background shows, and the line stands where it began', () => {
    const tea = chat.ensureRoom('r2', 'tea');
    tea.member = true;
    hear({ type: 'joined', room: 'r2', name: 'tea', head: 10, n: 10, count: 1, online: [], read: { seq: 8, n: 8 } });
    hear(message(11, { room: 'r2' }));
    expect([tea.unread, chat.unreadTotal]).toEqual([3, 3]);
    chat.activate('r2');
    expect(tea.marker).toBe(8);
  });
});

describe('messages', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
  });

  test('one’s own takes the place of what was on its way, before or after the `ok`', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k1', now);
    const [send] = ask().filter((command) => command.type === 'send');
    expect(send).toMatchObject({ room: 'r1', client_message_id: 'k1', body: 'hi' });
    hear(message(4, { by: { id: 'u7', name: '李雷' }, client_message_id: 'k1' }), { type: 'ok', id: send!.id!, seq: 4 });
    expect(chat.outbox.items).toEqual([]);
  });

  test('another’s with the same key does not', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k1', now);
    hear(message(4, { client_message_id: 'k1' }));
    expect(chat.outbox.items).toHaveLength(1);
  });

  test('a gap in the room on the screen is fetched at once, in the background when it is looked at', () => {
    hear({ type: 'gap', room: 'r1', from: 4, to: 60 });
    expect(ask().filter((command) => command.type === 'history')).toMatchObject([{ room: 'r1', after: 3, limit: 57 }]);
    const history = [...chat.pending.values()].find((command) => command.type === 'history')!;
    hear({ type: 'ok', id: history.id!, events: Array.from({ length: 57 }, (_, i) => message(4 + i)), more: false });
    expect(chat.room('r1')?.log?.events).toHaveLength(60);
  });

  test('one’s own that comes in a page takes the place of what was on its way, too', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k1', now);
    hear({ type: 'gap', room: 'r1', from: 4, to: 4 });
    const history = ask().find((command) => command.type === 'history')!;
    hear({ type: 'ok', id: history.id!, events: [message(4, { by: { id: 'u7', name: '李雷' }, client_message_id: 'k1' })], more: false });
    expect(chat.outbox.items).toEqual([]);
  });

  test('a page that was refused for now is asked for again, later', () => {
    hear({ type: 'gap', room: 'r1', from: 4, to: 60 });
    const history = ask().find((command) => command.type === 'history')!;
    hear({ type: 'error', id: history.id!, code: 'unavailable', message: '', retryable: true });
    expect(kinds(ask())).not.toContain('history');
    now = reconcileDeadline(chat, now)!;
    expect(kinds(ask())).toContain('history');
  });

  test('an empty page that claims there is more is not asked for in a circle', () => {
    hear({ type: 'gap', room: 'r1', from: 4, to: 60 });
    const history = ask().find((command) => command.type === 'history')!;
    hear({ type: 'ok', id: history.id!, events: [], more: true });
    expect(kinds(ask())).not.toContain('history');
  });
});

describe('people', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
  });

  test('typing is shown for five seconds, or until the message comes', () => {
    const room = chat.room('r1')!;
    hear({ type: 'typing', room: 'r1', by: { id: 'u8', name: 'Ann' } }, { type: 'typing', room: 'r1', by: { id: 'u9', name: 'Bob' } });
    expect(room.typers.size).toBe(2);
    hear(message(4, { by: { id: 'u8', name: 'Ann' } }));
    expect([...room.typers.keys()]).toEqual(['u9']);
    expireTypers(chat, now + TYPING_TIMEOUT - 1);
    expect(room.typers.size).toBe(1);
    expireTypers(chat, now + TYPING_TIMEOUT);
    expect(room.typers.size).toBe(0);
  });

  test('one’s own typing is said at most every three seconds, and at once after a message', () => {
    const room = chat.room('r1')!;
    expect(actions.reportTyping(chat, room, now)).toEqual({ type: 'typing', room: 'r1' });
    expect(actions.reportTyping(chat, room, now + TYPING_INTERVAL - 1)).toBeNull();
    expect(actions.reportTyping(chat, room, now + TYPING_INTERVAL)).not.toBeNull();
    actions.sendMessage(chat, 'r1', 'hi', 'k', now);
    expect(actions.reportTyping(chat, room, now + TYPING_INTERVAL + 1)).not.toBeNull();
  });

  test('come and go with `presence`; of a crowd only the count is told', () => {
    const room = chat.room('r1')!;
    hear({ type: 'presence', room: 'r1', count: 2, online: [{ id: 'u9', name: 'Bob' }], offline: [] });
    hear({ type: 'presence', room: 'r1', count: 1, online: [], offline: ['u9'] });
    expect([room.count, room.people.size]).toEqual([1, 0]);
    hear({ type: 'presence', room: 'r1', count: 1234 });
    expect(room.count).toBe(1234);
    expect(actions.requestPeople(chat, room, now)).toMatchObject({ type: 'who', room: 'r1' });
    expect(actions.requestPeople(chat, room, now + 1), 'not again while it is asked').toBeNull();
  });

  test('are called by their new name at once', () => {
    const room = chat.room('r1')!;
    hear({ type: 'presence', room: 'r1', count: 1, online: [{ id: 'u9', name: 'Bob' }] });
    hear({ type: 'renamed', room: 'r1', seq: 4, n: 3, by: { id: 'u9', name: 'Robert' }, at: at(4), old_name: 'Bob' });
    expect(room.people.get('u9')).toBe('Robert');
  });
});

describe('leaving', () => {
  const left = (seq: number): ServerFrame => ({ type: 'member_left', room: 'r1', seq, n: 3, by: { id: 'u7', name: '李雷' }, at: at(seq) });

  test('in another tab is heard here', () => {
    chat = chatInLobby(3);
    hear(left(4));
    expect(chat.room('r1')?.member).toBe(false);
  });

  test('of long ago, heard while catching up, changes nothing now', () => {
    chat = chatInLobby(3);
    chat.disconnected();
    hear(welcome(), joined({ head: 5, n: 3 }), left(4));
    expect(chat.room('r1')?.member).toBe(true);
  });

  test('leads to the lobby', () => {
    chat = chatInLobby(3);
    const tea = chat.ensureRoom('r2', 'tea');
    tea.member = true;
    chat.activate('r2');
    const leave = actions.leaveRoom(chat, tea)!;
    hear({ type: 'ok', id: leave.id!, seq: 1 });
    expect(chat.activeRoom?.name).toBe('lobby');
    expect(tea.member).toBe(false);
  });
});
