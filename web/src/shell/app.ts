import { createSignal } from 'solid-js';
import * as actions from '../core/actions';
import { needsUserAction, retryDelay } from '../core/backoff';
import { Chat, type TypedLine } from '../core/chat';
import { Clock } from '../core/clock';
import { Connection, type ConnectionEffect } from '../core/connection';
import { receive } from '../core/receive';
import { expireTypers, reconcile, reconcileDeadline } from '../core/reconcile';
import { uuid7 } from '../core/uuid';
import { decode } from '../protocol/decode';
import { encode } from '../protocol/encode';
import { roomKey, roomName } from '../protocol/names';
import type { Command, ErrorCode, RoomId, Seq } from '../protocol/types';
import { createSession, deleteSession, getSession } from './api';
import { openSocket } from './socket';
import * as storage from './storage';

export type Screen = 'loading' | 'login' | 'chat';

/**
 * The shell around the pure core: socket, clock, randomness, storage and address bar. It translates browser events into calls
 * of the core and executes the effects that the core returns; it takes no decisions itself.
 */
export class App {
  readonly chat = new Chat();
  readonly connection = new Connection();
  readonly #clock = new Clock(() => Date.now());
  readonly #screenSignal = createSignal<Screen>('loading');
  readonly #revisionSignal = createSignal(0);
  readonly #sessionEndedSignal = createSignal(false);
  readonly #sessionUnknownSignal = createSignal(false);
  #socket: ReturnType<typeof openSocket> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #published = true;
  /** Increases with every login and logout, so that a late response about an earlier session is ignored. */
  #generation = 0;
  #deletingSession = false;
  readonly #aroundPublish = new Set<() => (() => void) | void>();

  get screen(): Screen {
    return this.#screenSignal[0]();
  }

  /** Whether the previous session was ended by the server. */
  get sessionEnded(): boolean {
    return this.#sessionEndedSignal[0]();
  }

  /** Whether the page is still loading because the server did not answer who the user is. */
  get sessionUnknown(): boolean {
    return this.#sessionUnknownSignal[0]();
  }

  /** The time base of `chat` and `connection`. A message's own time is the wall clock's. */
  now(): number {
    return this.#clock.now();
  }

  /** Reactive: changes after `chat` or `connection` changed, at most once per animation frame. */
  get revision(): number {
    return this.#revisionSignal[0]();
  }

  async start(): Promise<void> {
    addEventListener('online', () => this.#run(() => this.connection.onOnline(this.now())));
    addEventListener('offline', () => this.#run(() => this.connection.onOffline(this.now())));
    addEventListener('hashchange', () => this.#openRoomFromHash());
    addEventListener('storage', (event) => this.#onStorage(event));
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState !== 'visible') return;
      this.#run(() => {
        actions.refreshDirectory(this.chat, this.now());
        return this.connection.wake(this.now());
      });
    });
    this.connection.online = navigator.onLine;
    let answer = await getSession();
    // Until the server answers, the login form stays hidden: the user may have a session.
    for (let attempt = 1; !('user' in answer || 'unauthorized' in answer); attempt++) {
      this.#sessionUnknownSignal[1](true);
      await new Promise((resolve) => setTimeout(resolve, retryDelay(attempt, Math.random())));
      answer = await getSession();
    }
    if ('user' in answer) this.#enter(answer.user);
    else this.#screenSignal[1]('login');
  }

  /** Logs in as a guest. Returns the reason of a failure, or null. */
  async createSession(name: string): Promise<ErrorCode | 'unreachable' | null> {
    const answer = await createSession(name);
    if ('user' in answer) {
      storage.savePreference('name', answer.user.name);
      this.#enter(answer.user);
      return null;
    }
    return 'error' in answer ? answer.error : 'unreachable';
  }

  async deleteSession(): Promise<boolean> {
    this.#deletingSession = true;
    const answered = await deleteSession();
    this.#deletingSession = false;
    // The server closes the connection before it answers, and the answer may be lost: `stopped` also proves that the session
    // ended.
    const ended = answered || this.connection.phase.kind === 'stopped';
    if (ended) this.#resetToLogin(false);
    return ended;
  }

  // --- user actions --------------------------------------------------------------------------------------------------

  sendMessage(room: RoomId, body: string): void {
    this.#update(() => actions.sendMessage(this.chat, room, body, newKey(), Date.now()));
  }

  openRoom(nameOrId: string): void {
    this.#update(() => actions.openRoom(this.chat, nameOrId));
  }

  /** Returns false without a connection. */
  leaveRoom(): boolean {
    const room = this.chat.activeRoom;
    return room !== null && this.#command(actions.leaveRoom(this.chat, room));
  }

  rename(name: string): boolean {
    storage.savePreference('name', name);
    return this.#command(actions.perform(this.chat, { type: 'rename', name }));
  }

  /** Sends a command that needs no special handling. Returns false without a connection. */
  perform(command: Command, line?: TypedLine): boolean {
    return this.#command(actions.perform(this.chat, command, line));
  }

  reportTyping(): void {
    const room = this.chat.activeRoom;
    if (room) this.#command(actions.reportTyping(this.chat, room, this.now()));
  }

  setFocusedRoom(room: RoomId | null): void {
    if (this.chat.focused === room) return;
    this.#update(() => actions.setFocusedRoom(this.chat, room));
  }

  requestOlder(): void {
    const room = this.chat.activeRoom;
    if (room && !room.needsOlder) this.#update(() => actions.requestOlder(room));
  }

  fetchGap(seq: Seq): void {
    const room = this.chat.activeRoom;
    if (room) this.#update(() => actions.fetchGap(room, seq));
  }

  retry(key: string): void {
    this.#update(() => this.chat.outbox.retry(key, Date.now(), this.chat.epoch, newKey()));
  }

  discard(key: string): void {
    this.#update(() => this.chat.outbox.discard(key));
  }

  refreshDirectory(): void {
    this.#update(() => actions.refreshDirectory(this.chat, this.now()));
  }

  requestUsers(more = false): void {
    const room = this.chat.activeRoom;
    if (room) this.#command(actions.requestUsers(this.chat, room, this.now(), more));
  }

  reconnectNow(): void {
    this.#run(() => this.connection.wake(this.now()));
  }

  // --- events --------------------------------------------------------------------------------------------------------

  #enter(user: NonNullable<Chat['you']>): void {
    this.chat.you = user;
    this.chat.outbox.restore(storage.loadOutbox(user.id));
    this.chat.pendingRoom = roomFromHash() ?? storage.loadPreference('room');
    this.#generation += 1;
    this.#sessionEndedSignal[1](false);
    this.#screenSignal[1]('chat');
    this.#run(() => this.connection.start(this.now()));
  }

  /** Drops all state of the session and shows the login screen. */
  #resetToLogin(ended: boolean): void {
    this.#generation += 1;
    this.connection.stop();
    this.#socket?.drop();
    this.#socket = null;
    this.chat.disconnected();
    this.chat.rooms.clear();
    this.chat.directory = [];
    this.chat.directoryAfter = null;
    this.chat.outbox.items = [];
    this.chat.active = null;
    this.chat.you = null;
    this.chat.epoch = '';
    this.#sessionEndedSignal[1](ended);
    this.#screenSignal[1]('login');
    this.#publishSoon();
  }

  #applyEffects(effects: readonly ConnectionEffect[]): void {
    for (const effect of effects) {
      if (effect === 'connect') this.#connect();
      else if (effect === 'ping') this.#transmit([this.chat.track({ type: 'ping' })]);
      else if (effect === 'close') this.#socket?.drop();
      else void this.#checkSession();
    }
  }

  #connect(): void {
    const socket = openSocket({
      message: (text) => {
        if (socket === this.#socket) this.#onMessage(text);
      },
      closed: (code, reason) => {
        if (socket !== this.#socket) return;
        this.#socket = null;
        this.#run(() => {
          this.chat.disconnected();
          const effects = this.connection.onClose(code, reason, this.now(), Math.random());
          // During a logout, the login screen waits for the response: it deletes the session cookie, and would delete that of a
          // login that happened before it.
          if (needsUserAction(code) && !this.#deletingSession) this.#resetToLogin(true);
          return effects;
        });
      },
    });
    this.#socket = socket;
  }

  #onMessage(text: string): void {
    const now = this.now();
    this.#run(() => {
      this.connection.onFrame(now);
      for (const frame of decode(text)) {
        if (frame.type === 'welcome') {
          if (frame.you.id !== this.chat.you?.id) {
            void this.#recheckSession();
            break;
          }
          this.connection.onWelcome(now);
          // Includes what a closed tab left unsent. If that tab is still open, the server deduplicates by `client_message_id`.
          this.chat.outbox.restore(storage.loadOutbox(frame.you.id));
        }
        receive(this.chat, frame, now, Math.random());
      }
      return [];
    });
  }

  /**
   * The server greeted a different user: another tab logged in as another user, or the session ended there and the connection
   * without a cookie became a new guest with a generated name. Nobody should send under that name.
   */
  async #recheckSession(): Promise<void> {
    this.#resetToLogin(true);
    const generation = this.#generation;
    const answer = await getSession();
    if (generation === this.#generation && 'user' in answer) this.#enter(answer.user);
  }

  /** A failed upgrade has no reason. If the session ended, reconnecting would not help. */
  async #checkSession(): Promise<void> {
    const generation = this.#generation;
    const answer = await getSession();
    if (generation !== this.#generation || this.#deletingSession) return;
    if ('unauthorized' in answer && this.connection.phase.kind !== 'ready') this.#resetToLogin(true);
  }

  #onStorage(event: StorageEvent): void {
    const { you } = this.chat;
    const key = you && storage.removedElsewhere(you.id, event);
    if (key) this.#update(() => this.chat.outbox.dropUnsent(key));
  }

  #openRoomFromHash(): void {
    const name = roomFromHash();
    const active = this.chat.activeRoom;
    if (this.screen !== 'chat' || !name || (active && roomKey(active.name) === roomKey(name))) return;
    this.openRoom(name);
  }

  /** The address bar and the stored preference follow the active room. */
  #saveActiveRoom(): void {
    const room = this.chat.activeRoom;
    // While another room is pending, the address already names it.
    if (!room || this.chat.pendingRoom !== null) return;
    storage.savePreference('room', room.name);
    const hash = `#${encodeURIComponent(room.name)}`;
    const there = roomFromHash();
    if (there !== null && roomKey(there) === roomKey(room.name)) return;
    if (there === null) history.replaceState(null, '', hash);
    else history.pushState(null, '', hash);
  }

  // --- the update cycle: change, send, save, render ------------------------------------------------------------------

  #update(body: () => void): void {
    this.#run(() => {
      body();
      return [];
    });
  }

  #command(command: Command | null): boolean {
    if (command) this.#update(() => this.#transmit([command]));
    return command !== null;
  }

  #run(body: () => readonly ConnectionEffect[]): void {
    const now = this.now();
    this.#applyEffects(body());
    this.#applyEffects(this.connection.tick(now));
    expireTypers(this.chat, now);
    this.#transmit(reconcile(this.chat, now));
    this.#saveOutbox();
    if (this.screen === 'chat') this.#saveActiveRoom();
    this.#scheduleTimer(now);
    this.#publishSoon();
  }

  #transmit(commands: readonly Command[]): void {
    if (commands.length === 0 || !this.#socket) return;
    for (const frame of encode(commands, this.chat.limits.frame_bytes)) this.#socket.send(frame);
  }

  #saveOutbox(): void {
    const { you, outbox } = this.chat;
    const changes = outbox.drainChanges();
    if (you) storage.saveOutbox(you.id, changes);
  }

  #scheduleTimer(now: number): void {
    clearTimeout(this.#timer);
    const due = [this.connection.deadline(), reconcileDeadline(this.chat, now)].filter((at) => at !== null);
    if (due.length === 0) return;
    this.#timer = setTimeout(() => this.#run(() => []), Math.max(0, Math.min(...due) - now) + 1);
  }

  /** `before` runs right before the view updates, and its return value right after: this keeps the scroll position. */
  onPublish(before: () => (() => void) | void): () => void {
    this.#aroundPublish.add(before);
    return () => this.#aroundPublish.delete(before);
  }

  /** Batches view updates: one per animation frame, or per 250 ms in a hidden page, which has no frames. */
  #publishSoon(): void {
    if (!this.#published) return;
    this.#published = false;
    const publish = () => {
      if (this.#published) return;
      this.#published = true;
      const after = [...this.#aroundPublish].map((before) => before());
      this.#revisionSignal[1]((revision) => revision + 1);
      for (const then of after) then?.();
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(publish);
    // Also covers a page that becomes hidden before its frame.
    setTimeout(publish, 250);
  }
}

/** A new idempotency key. */
function newKey(): string {
  return uuid7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
}

/** The room named by the address: `#tea`. */
function roomFromHash(): string | null {
  let text: string;
  try {
    text = decodeURIComponent(location.hash);
  } catch {
    return null;
  }
  const name = roomName(text);
  return name.ok ? name.name : null;
}
