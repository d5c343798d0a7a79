import { beforeEach, describe, expect, test } from 'vitest';
import type { Command, ServerFrame } from '../protocol/types';
import * as actions from './actions';
import { Chat, READ_INTERVAL, TYPING_INTERVAL } from './chat';
import { receive } from './receive';
import { expireTypers, reconcile, reconcileDeadline } from './reconcile';
import { TYPING_TIMEOUT } from './room';
import { at, chatInLobby, message, welcome } from './testing';

let chat: Chat;
let now = 10_000;
const receiveAll = (...frames: ServerFrame[]) => frames.forEach((frame) => receive(chat, frame, now, 0));
const step = () => reconcile(chat, now);
const kinds = (commands: Command[]) => commands.map((command) => command.type);
const joined = (more: object = {}): ServerFrame => ({ type: 'joined', room: 'r1', name: 'lobby', head: 57, n: 51, count: 1, online: [], ...more });
const summary = (more: object = {}) => ({ room: 'r1' as const, name: 'lobby', head: 57, n: 51, count: 1, joined: true, ...more });

beforeEach(() => {
  chat = new Chat();
  now = 10_000;
});

describe('first connection', () => {
  test('new guest lists rooms and joins the lobby', () => {
    expect(step()).toEqual([]);
    receiveAll(welcome());
    expect(step()).toEqual([{ type: 'rooms', joined: true, id: 1 }]);
    receiveAll({ type: 'ok', id: 1, rooms: [] });
    expect(step()).toEqual([{ type: 'rooms', id: 2 }, { type: 'join', room: 'lobby', id: 3 }]);
    receiveAll(joined({ id: 3 }));
    expect(chat.activeRoom?.name).toBe('lobby');
    expect(step(), 'history is loaded').toEqual([{ type: 'history', room: 'r1', before: 58, limit: 100, id: 4 }, { type: 'read', room: 'r1', seq: 57, id: 5 }]);
  });

  test('new member has no unread messages', () => {
    receiveAll(welcome(), joined());
    expect(chat.room('r1')?.unread).toBe(0);
  });

  test('room joined on another page reports no read position', () => {
    receiveAll(welcome());
    step();
    receiveAll({ type: 'ok', id: 1, rooms: [summary(), summary({ room: 'r2', name: 'tea', head: 9, n: 8 })] });
    chat.pendingRoom = 'lobby';
    step();
    receiveAll(joined({ read: { seq: 57, n: 51 } }), joined({ room: 'r2', name: 'tea', head: 9, n: 8 }));
    now += READ_INTERVAL;
    expect(kinds(step())).not.toContain('read');
    actions.setFocusedRoom(chat, 'r2');
    receiveAll(message(10, { room: 'r2' }));
    now += READ_INTERVAL;
    expect(step().filter((command) => command.type === 'read')).toMatchObject([{ room: 'r2', seq: 10 }]);
  });

  test('returning guest resumes rooms, the active one with history', () => {
    chat.pendingRoom = '#Tea';
    receiveAll(welcome());
    step();
    receiveAll({ type: 'ok', id: 1, rooms: [summary(), summary({ room: 'r2', name: 'tea', head: 900 })] });
    const resume = step().find((command) => command.type === 'resume');
    expect(resume).toEqual({ type: 'resume', rooms: { r1: 57, r2: 840 }, epoch: 'e1', id: 2 });
    step();
    expect(chat.activeRoom?.id).toBe('r2');
  });

  test('room joined in another tab opens at the next listing', () => {
    chat = chatInLobby(3);
    const [rooms] = step().filter((command) => command.type === 'rooms');
    receiveAll({ type: 'ok', id: rooms!.id!, rooms: [summary({ head: 3 }), summary({ room: 'r2', name: 'tea', head: 9 }), summary({ room: 'r3', name: 'other', joined: false })] });
    expect(step().filter((command) => command.type === 'resume')).toMatchObject([{ rooms: { r2: 9 } }]);
    expect(chat.room('r3')).toBeUndefined();
  });

  test('unsent message for a room left elsewhere fails', () => {
    chat.outbox.restore([{ key: 'k', room: 'r2', body: 'old', at: 1, epoch: 'e1', state: 'waiting', attempt: 0, retryAt: 0 }]);
    receiveAll(welcome());
    step();
    receiveAll({ type: 'ok', id: 1, rooms: [summary()], next: 'r1' });
    const [rest] = step().filter((command) => command.type === 'rooms');
    expect(chat.outbox.items, 'before the list is complete').toMatchObject([{ state: 'waiting' }]);
    receiveAll({ type: 'ok', id: rest!.id!, rooms: [] });
    expect(chat.outbox.items).toMatchObject([{ state: 'failed', code: 'not_a_member' }]);
    expect(chat.outbox.drainChanges()).toMatchObject([{ save: { key: 'k', state: 'failed' } }]);
  });

  test('long room list is loaded page by page', () => {
    receiveAll(welcome());
    step();
    receiveAll({ type: 'ok', id: 1, rooms: [summary()], next: 'r1' });
    expect(step()).toEqual([{ type: 'rooms', joined: true, after: 'r1', id: 2 }]);
  });

  test('failed join shows a notice and opens the lobby', () => {
    chat.pendingRoom = 'r12x';
    receiveAll(welcome());
    step();
    receiveAll({ type: 'ok', id: 1, rooms: [] });
    const join = step().find((command) => command.type === 'join')!;
    receiveAll({ type: 'error', id: join.id!, code: 'too_many_rooms', message: '', retryable: false });
    expect(chat.notices).toEqual([{ kind: 'failed', command: 'join', code: 'too_many_rooms', subject: 'r12x' }]);
    expect(step()).toMatchObject([{ type: 'join', room: 'lobby' }]);
  });

  test('rate-limited join is retried', () => {
    receiveAll(welcome());
    step();
    receiveAll({ type: 'ok', id: 1, rooms: [] });
    const join = step().find((command) => command.type === 'join')!;
    receiveAll({ type: 'error', id: join.id!, code: 'rate_limited', message: '', retryable: true, retry_after_ms: 4_000 });
    expect(step()).toEqual([]);
    expect(reconcileDeadline(chat, now)).toBe(now + 4_000);
    now += 4_000;
    expect(kinds(step())).toEqual(['join']);
  });
});

describe('reconnect', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
    chat.disconnected();
    receiveAll(welcome());
  });

  test('room resumes at its cursor before the room list arrives', () => {
    expect(step()[0]).toMatchObject({ type: 'resume', rooms: { r1: 3 }, epoch: 'e1' });
  });

  test('ok moves no cursor', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k', now);
    receiveAll(joined({ head: 3, n: 3 }));
    const send = step().find((command) => command.type === 'send')!;
    receiveAll({ type: 'ok', id: send.id!, seq: 9 });
    expect(chat.room('r1')?.log?.cursor).toBe(3);
    expect(chat.outbox.items).toMatchObject([{ state: 'delivered' }]);
    chat.disconnected();
    receiveAll(welcome());
    expect(step()[0]).toMatchObject({ type: 'resume', rooms: { r1: 3 } });
  });

  test('removal while disconnected drops the room with a notice', () => {
    step();
    receiveAll({ type: 'error', room: 'r1', code: 'not_a_member', message: '', retryable: false });
    expect(chat.notices).toEqual([{ kind: 'removed', room: 'lobby' }]);
    expect(chat.room('r1')?.member).toBe(false);
  });

  test('resume with a retryable error is retried', () => {
    const [resume] = step();
    receiveAll({ type: 'error', id: resume!.id!, code: 'overloaded', message: '', retryable: true, retry_after_ms: 5_000 });
    expect(kinds(step())).toEqual([]);
    now += 5_000;
    expect(kinds(step())).toContain('resume');
  });

  test('new epoch drops all logs and sends no old cursors', () => {
    chat.disconnected();
    receiveAll(welcome('e2'));
    expect(step().filter((command) => command.type === 'resume')).toEqual([]);
    expect(chat.room('r1')?.log).toBeNull();
    expect(chat.notices).toEqual([{ kind: 'reset' }]);
  });

  test('reset removes messages that wait for their event', () => {
    chat = chatInLobby(5);
    actions.sendMessage(chat, 'r1', 'tea', 'k', now);
    const send = step().find((command) => command.type === 'send');
    receiveAll({ type: 'ok', id: send!.id!, seq: 6 });
    expect(chat.outbox.items).toMatchObject([{ state: 'delivered' }]);
    receiveAll({ type: 'reset', room: 'r1', epoch: 'e1' }, joined({ head: 2, n: 2 }));
    expect(chat.outbox.items).toEqual([]);
  });

  test('joined after reset restarts the log at the head', () => {
    step();
    receiveAll({ type: 'reset', room: 'r1', epoch: 'e1' }, joined({ head: 2, n: 2 }));
    expect(chat.room('r1')?.log).toMatchObject({ cursor: 2, floor: 2, events: [] });
  });

  test('another user inherits no rooms', () => {
    chat.disconnected();
    receiveAll(welcome('e1', 'u99'));
    expect(chat.rooms.size).toBe(0);
  });
});

describe('unread', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
  });

  test('count excludes messages seen while the room is focused', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    receiveAll(message(4));
    expect(room.unread).toBe(0);
    actions.setFocusedRoom(chat, null);
    receiveAll(message(5), message(6), { type: 'member_joined', room: 'r1', seq: 7, n: 6, by: { id: 'u9', name: 'Bob' }, at: at(7) });
    expect(room.unread).toBe(2);
    expect(room.marker, 'before the first unread message').toBe(4);
    actions.setFocusedRoom(chat, 'r1');
    expect(room.unread).toBe(0);
    expect(room.marker, 'stays while they are read').toBe(4);
  });

  test('member_joined with several users counts no message', () => {
    const room = chat.room('r1')!;
    const others = [{ id: 'u10' as const, name: 'Cleo' }, { id: 'u7' as const, name: '李雷' }];
    receiveAll({ type: 'member_joined', room: 'r1', seq: 4, n: 3, by: { id: 'u9', name: 'Bob' }, also_joined: others, at: at(4) }, message(5, { n: 4 }));
    expect([room.unread, room.marker, room.log?.cursor, room.member]).toEqual([1, 4, 5, true]);
  });

  test('own message is not unread', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    actions.setFocusedRoom(chat, null);
    receiveAll(message(4, { by: { id: 'u7', name: '李雷' } }));
    expect([room.unread, room.marker]).toEqual([0, null]);
  });

  test('marker after a reconnect is at the last read message', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    chat.disconnected();
    receiveAll(welcome(), joined({ head: 2000, n: 2000, read: { seq: 3, n: 3 } }), { type: 'gap', room: 'r1', from: 4, to: 2000 });
    expect([room.unread, room.marker]).toEqual([1997, 3]);
    actions.setFocusedRoom(chat, 'r1');
    expect([room.unread, room.read?.seq]).toEqual([0, 2000]);
    receiveAll({ type: 'gap', room: 'r1', from: 2001, to: 2009 });
    expect(room.read?.seq).toBe(2009);
  });

  test('read position is reported at most every two seconds', () => {
    actions.setFocusedRoom(chat, 'r1');
    expect(step().filter((command) => command.type === 'read')).toMatchObject([{ room: 'r1', seq: 3 }]);
    receiveAll(message(4), message(5));
    now += 100;
    expect(kinds(step())).not.toContain('read');
    expect(reconcileDeadline(chat, now)).toBe(now - 100 + READ_INTERVAL);
    now += READ_INTERVAL;
    expect(step().filter((command) => command.type === 'read')).toMatchObject([{ seq: 5 }]);
  });

  test('read position is reported again after a reconnect', () => {
    actions.setFocusedRoom(chat, 'r1');
    step();
    chat.disconnected();
    now += READ_INTERVAL;
    receiveAll(welcome(), joined({ head: 3, n: 3, read: { seq: 1, n: 1 } }));
    expect(step().filter((command) => command.type === 'read')).toMatchObject([{ seq: 3 }]);
  });

  test('read position of the server never moves back', () => {
    const room = chat.room('r1')!;
    actions.setFocusedRoom(chat, 'r1');
    room.updateRead({ seq: 1, n: 1 });
    expect(room.read?.seq).toBe(3);
  });

  test('background room counts, and its marker is the read position', () => {
    const tea = chat.ensureRoom('r2', 'tea');
    tea.member = true;
    receiveAll({ type: 'joined', room: 'r2', name: 'tea', head: 10, n: 10, count: 1, online: [], read: { seq: 8, n: 8 } });
    receiveAll(message(11, { room: 'r2' }));
    expect([tea.unread, chat.unreadTotal]).toEqual([3, 3]);
    chat.activate('r2');
    expect(tea.marker).toBe(8);
  });
});

describe('messages', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
  });

  test('own event replaces the pending message before or after ok', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k1', now);
    const [send] = step().filter((command) => command.type === 'send');
    expect(send).toMatchObject({ room: 'r1', client_message_id: 'k1', body: 'hi' });
    receiveAll(message(4, { by: { id: 'u7', name: '李雷' }, client_message_id: 'k1' }), { type: 'ok', id: send!.id!, seq: 4 });
    expect(chat.outbox.items).toEqual([]);
  });

  test('event of another user with the same key replaces nothing', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k1', now);
    receiveAll(message(4, { client_message_id: 'k1' }));
    expect(chat.outbox.items).toHaveLength(1);
  });

  test('gap is fetched at once in the active room', () => {
    receiveAll({ type: 'gap', room: 'r1', from: 4, to: 60 });
    expect(step().filter((command) => command.type === 'history')).toMatchObject([{ room: 'r1', after: 3, limit: 57 }]);
    const history = [...chat.pending.values()].find((command) => command.type === 'history')!;
    receiveAll({ type: 'ok', id: history.id!, events: Array.from({ length: 57 }, (_, i) => message(4 + i)), more: false });
    expect(chat.room('r1')?.log?.events).toHaveLength(60);
  });

  test('own message in a history page replaces the pending message', () => {
    actions.sendMessage(chat, 'r1', 'hi', 'k1', now);
    receiveAll({ type: 'gap', room: 'r1', from: 4, to: 4 });
    const history = step().find((command) => command.type === 'history')!;
    receiveAll({ type: 'ok', id: history.id!, events: [message(4, { by: { id: 'u7', name: '李雷' }, client_message_id: 'k1' })], more: false });
    expect(chat.outbox.items).toEqual([]);
  });

  test('history with a retryable error is retried after a delay', () => {
    receiveAll({ type: 'gap', room: 'r1', from: 4, to: 60 });
    const history = step().find((command) => command.type === 'history')!;
    receiveAll({ type: 'error', id: history.id!, code: 'unavailable', message: '', retryable: true });
    expect(kinds(step())).not.toContain('history');
    now = reconcileDeadline(chat, now)!;
    expect(kinds(step())).toContain('history');
  });

  test('empty history page with more is not retried at once', () => {
    receiveAll({ type: 'gap', room: 'r1', from: 4, to: 60 });
    const history = step().find((command) => command.type === 'history')!;
    receiveAll({ type: 'ok', id: history.id!, events: [], more: true });
    expect(kinds(step())).not.toContain('history');
  });
});

describe('users', () => {
  beforeEach(() => {
    chat = chatInLobby(3);
  });

  test('typing user expires after five seconds or at their message', () => {
    const room = chat.room('r1')!;
    receiveAll({ type: 'typing', room: 'r1', by: { id: 'u8', name: 'Ann' } }, { type: 'typing', room: 'r1', by: { id: 'u9', name: 'Bob' } });
    expect(room.typers.size).toBe(2);
    receiveAll(message(4, { by: { id: 'u8', name: 'Ann' } }));
    expect([...room.typers.keys()]).toEqual(['u9']);
    expireTypers(chat, now + TYPING_TIMEOUT - 1);
    expect(room.typers.size).toBe(1);
    expireTypers(chat, now + TYPING_TIMEOUT);
    expect(room.typers.size).toBe(0);
  });

  test('own typing is sent every three seconds, and after a message', () => {
    const room = chat.room('r1')!;
    expect(actions.reportTyping(chat, room, now)).toEqual({ type: 'typing', room: 'r1' });
    expect(actions.reportTyping(chat, room, now + TYPING_INTERVAL - 1)).toBeNull();
    expect(actions.reportTyping(chat, room, now + TYPING_INTERVAL)).not.toBeNull();
    actions.sendMessage(chat, 'r1', 'hi', 'k', now);
    expect(actions.reportTyping(chat, room, now + TYPING_INTERVAL + 1)).not.toBeNull();
  });

  test('presence of a crowd updates only the count', () => {
    const room = chat.room('r1')!;
    receiveAll({ type: 'presence', room: 'r1', count: 2, online: [{ id: 'u9', name: 'Bob' }], offline: [] });
    receiveAll({ type: 'presence', room: 'r1', count: 1, online: [], offline: ['u9'] });
    expect([room.count, room.users.size]).toEqual([1, 0]);
    receiveAll({ type: 'presence', room: 'r1', count: 1234 });
    expect(room.count).toBe(1234);
    expect(actions.requestUsers(chat, room, now)).toMatchObject({ type: 'who', room: 'r1' });
    expect(actions.requestUsers(chat, room, now + 1), 'not while one is in flight').toBeNull();
  });

  test('renamed event updates the name in users', () => {
    const room = chat.room('r1')!;
    receiveAll({ type: 'presence', room: 'r1', count: 1, online: [{ id: 'u9', name: 'Bob' }] });
    receiveAll({ type: 'renamed', room: 'r1', seq: 4, n: 3, by: { id: 'u9', name: 'Robert' }, at: at(4), old_name: 'Bob' });
    expect(room.users.get('u9')).toBe('Robert');
  });
});

describe('commands of the user', () => {
  test('command without special handling is sent on a connection only', () => {
    chat = chatInLobby(3);
    expect(actions.perform(chat, { type: 'rename', name: 'Lei' })).toMatchObject({ type: 'rename', name: 'Lei', id: expect.any(Number) });
    chat.disconnected();
    expect(actions.perform(chat, { type: 'rename', name: 'Lei' })).toBeNull();
  });

  test('failed command returns the line that the user typed', () => {
    chat = chatInLobby(3);
    const line = { room: 'r1', text: '/name Lei' } as const;
    const command = actions.perform(chat, { type: 'rename', name: 'Lei' }, line)!;
    receiveAll({ type: 'error', id: command.id!, code: 'rate_limited', message: '', retryable: true });
    expect(chat.notices).toMatchObject([{ kind: 'failed', line }]);
  });

  test('error is shown for a command of the user only', () => {
    chat = chatInLobby(3);
    const commands: Command[] = [actions.perform(chat, { type: 'ping' })!, chat.track<Command>({ type: 'ping' })];
    for (const command of commands) {
      receiveAll({ type: 'error', id: command.id!, code: 'not_a_member', message: '', retryable: false });
    }
    expect(chat.notices).toEqual([{ kind: 'failed', command: 'ping', code: 'not_a_member' }]);
  });
});

describe('leaving', () => {
  const left = (seq: number): ServerFrame => ({ type: 'member_left', room: 'r1', seq, n: 3, by: { id: 'u7', name: '李雷' }, at: at(seq) });

  test('member_left from another tab drops the room', () => {
    chat = chatInLobby(3);
    receiveAll(left(4));
    expect(chat.room('r1')?.member).toBe(false);
  });

  test('member_left in a catch-up is ignored', () => {
    chat = chatInLobby(3);
    chat.disconnected();
    receiveAll(welcome(), joined({ head: 5, n: 3 }), left(4));
    expect(chat.room('r1')?.member).toBe(true);
  });

  test('leave of the active room activates the lobby', () => {
    chat = chatInLobby(3);
    const tea = chat.ensureRoom('r2', 'tea');
    tea.member = true;
    chat.activate('r2');
    const leave = actions.leaveRoom(chat, tea)!;
    receiveAll({ type: 'ok', id: leave.id!, seq: 1 });
    expect(chat.activeRoom?.name).toBe('lobby');
    expect(tea.member).toBe(false);
  });
});
