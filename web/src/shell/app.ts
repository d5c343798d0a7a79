import { createSignal } from 'solid-js';
import { backoff } from '../core/backoff';
import { Chat } from '../core/chat';
import { Clock } from '../core/clock';
import { Link, type LinkEffect } from '../core/link';
import { expireTypers, poll, pollDeadline } from '../core/poll';
import { receive } from '../core/receive';
import { uuid7 } from '../core/uuid';
import * as wishes from '../core/wishes';
import { decode } from '../protocol/decode';
import { encode } from '../protocol/encode';
import { roomKey, roomName } from '../protocol/names';
import type { Command, ErrorCode, RoomId, Seq } from '../protocol/types';
import { comeIn, goAway, whoAmI } from './api';
import { openSocket } from './socket';
import * as storage from './storage';

export type Stage = 'opening' | 'welcome' | 'chat';

/**
 * The shell around the pure core: the socket, the clock, chance, storage and the address bar. It turns what happens into
 * calls of the core and does what the core says; it decides nothing itself.
 */
export class App {
  readonly chat = new Chat();
  readonly link = new Link();
  private readonly clock = new Clock(() => Date.now());
  private readonly stageSignal = createSignal<Stage>('opening');
  private readonly revisionSignal = createSignal(0);
  private readonly endedSignal = createSignal(false);
  private readonly unansweredSignal = createSignal(false);
  private socket: ReturnType<typeof openSocket> | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private published = true;
  /** Counts comings and goings: an answer about an earlier visit says nothing about this one. */
  private visit = 0;
  private goingAway = false;
  private readonly aroundPublish = new Set<() => (() => void) | void>();

  get stage(): Stage {
    return this.stageSignal[0]();
  }

  /** Whether a visit ended under the person's feet. */
  get ended(): boolean {
    return this.endedSignal[0]();
  }

  /** Whether the page is still opening because the server does not say who this is. */
  get unanswered(): boolean {
    return this.unansweredSignal[0]();
  }

  /** The time in which `chat` and `link` reckon. A message's own time is the wall clock's. */
  now(): number {
    return this.clock.now();
  }

  /** Whoever reads this is told when anything in `chat` or `link` changed, at most once a frame. */
  get revision(): number {
    return this.revisionSignal[0]();
  }

  async start(): Promise<void> {
    addEventListener('online', () => this.act(() => this.link.cameOnline(this.now())));
    addEventListener('offline', () => this.act(() => this.link.wentOffline(this.now())));
    addEventListener('hashchange', () => this.followAddress());
    addEventListener('storage', (event) => this.onStorage(event));
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState !== 'visible') return;
      this.act(() => {
        wishes.lookAtDirectory(this.chat, this.now());
        return this.link.nudge(this.now());
      });
    });
    this.link.online = navigator.onLine;
    let answer = await whoAmI();
    // As long as the server does not say who this is, they are not asked for a name that they may have: the page asks again.
    for (let attempt = 1; !('user' in answer || 'nobody' in answer); attempt++) {
      this.unansweredSignal[1](true);
      await new Promise((resolve) => setTimeout(resolve, backoff(attempt, 0.5 + Math.random() / 2)));
      answer = await whoAmI();
    }
    if ('user' in answer) this.enter(answer.user);
    else this.stageSignal[1]('welcome');
  }

  /** Chooses a name and comes in. Answers what went wrong, if anything did. */
  async comeIn(name: string): Promise<ErrorCode | 'unreachable' | null> {
    const answer = await comeIn(name);
    if ('user' in answer) {
      storage.remember('name', answer.user.name);
      this.enter(answer.user);
      return null;
    }
    return 'refused' in answer ? answer.refused : 'unreachable';
  }

  async goAway(): Promise<boolean> {
    this.goingAway = true;
    const answered = await goAway();
    this.goingAway = false;
    // The connection is closed before the answer comes, if it comes: then too the session has ended, as it was to.
    const gone = answered || this.link.phase.is === 'stopped';
    if (gone) this.leaveHouse(false);
    return gone;
  }

  // --- what the person wants ---------------------------------------------------------------------------------------

  say(room: RoomId, body: string): void {
    const key = uuid7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
    this.change(() => wishes.say(this.chat, room, body, key, Date.now()));
  }

  go(nameOrId: string): void {
    this.change(() => wishes.go(this.chat, nameOrId));
  }

  /** False: there is no connection to say it on. */
  leave(): boolean {
    const room = this.chat.activeRoom;
    return room !== null && this.command(wishes.leave(this.chat, room));
  }

  rename(name: string): boolean {
    storage.remember('name', name);
    return this.command(wishes.rename(this.chat, name));
  }

  typing(): void {
    const room = this.chat.activeRoom;
    if (room) this.command(wishes.typing(this.chat, room, this.now()));
  }

  attend(room: RoomId | null): void {
    if (this.chat.attended === room) return;
    this.change(() => wishes.attend(this.chat, room));
  }

  wantOlder(): void {
    const room = this.chat.activeRoom;
    if (room && !room.wantsOlder) this.change(() => wishes.wantOlder(room));
  }

  pullHole(seq: Seq): void {
    const room = this.chat.activeRoom;
    if (room) this.change(() => wishes.pullHole(room, seq));
  }

  retry(key: string): void {
    const fresh = uuid7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
    this.change(() => this.chat.outbox.retry(key, Date.now(), this.chat.epoch, fresh));
  }

  discard(key: string): void {
    this.change(() => this.chat.outbox.discard(key));
  }

  lookAtDirectory(): void {
    this.change(() => wishes.lookAtDirectory(this.chat, this.now()));
  }

  whoIsHere(more = false): void {
    const room = this.chat.activeRoom;
    if (room) this.command(wishes.whoIsHere(this.chat, room, this.now(), more));
  }

  reconnectNow(): void {
    this.act(() => this.link.nudge(this.now()));
  }

  // --- what happens ------------------------------------------------------------------------------------------------

  private enter(user: NonNullable<Chat['you']>): void {
    this.chat.you = user;
    this.chat.outbox.restore(storage.keptItems(user.id));
    this.chat.wanted = roomOfAddress() ?? storage.recall('room');
    this.visit += 1;
    this.endedSignal[1](false);
    this.stageSignal[1]('chat');
    this.act(() => this.link.start(this.now()));
  }

  /** Back to the door. */
  private leaveHouse(ended: boolean): void {
    this.visit += 1;
    this.link.stop();
    this.socket?.drop();
    this.socket = null;
    this.chat.disconnected();
    this.chat.rooms.clear();
    this.chat.directory = [];
    this.chat.directoryNext = null;
    this.chat.outbox.items = [];
    this.chat.active = null;
    this.chat.you = null;
    this.chat.epoch = '';
    this.endedSignal[1](ended);
    this.stageSignal[1]('welcome');
    this.publishSoon();
  }

  private perform(effects: readonly LinkEffect[]): void {
    for (const effect of effects) {
      if (effect === 'connect') this.connect();
      else if (effect === 'ping') this.transmit([this.chat.track({ type: 'ping' })]);
      else if (effect === 'drop') this.socket?.drop();
      else void this.checkSession();
    }
  }

  private connect(): void {
    const socket = openSocket({
      message: (text) => {
        if (socket === this.socket) this.onMessage(text);
      },
      closed: (code, reason) => {
        if (socket !== this.socket) return;
        this.socket = null;
        this.act(() => {
          this.chat.disconnected();
          const effects = this.link.closed(code, reason, this.now(), Math.random());
          // Whoever goes by themselves is at the door when the answer is there: it takes the session's cookie away, and would take
          // that of whoever came in before it.
          if (code >= 4100 && code < 4200 && !this.goingAway) this.leaveHouse(true);
          return effects;
        });
      },
    });
    this.socket = socket;
  }

  private onMessage(text: string): void {
    const now = this.now();
    this.act(() => {
      this.link.heard(now);
      for (const frame of decode(text)) {
        if (frame.type === 'welcome') {
          if (frame.you.id !== this.chat.you?.id) {
            void this.recognize();
            break;
          }
          this.link.welcomed(now);
          // Also what a tab left behind that was closed meanwhile. Should it be open, the server knows the message by its key.
          this.chat.outbox.restore(storage.keptItems(frame.you.id));
        }
        receive(this.chat, frame, now, Math.random());
      }
      return [];
    });
  }

  /**
   * The connection was made as somebody else: they came in from another tab, or the session ended in one, and whoever brings no
   * cookie is greeted as a guest with a made-up name. Nobody wants to talk under that.
   */
  private async recognize(): Promise<void> {
    this.leaveHouse(true);
    const { visit } = this;
    const answer = await whoAmI();
    if (visit === this.visit && 'user' in answer) this.enter(answer.user);
  }

  /** An upgrade that fails does not say why. If it is the session, waiting will not help. */
  private async checkSession(): Promise<void> {
    const { visit } = this;
    const answer = await whoAmI();
    if (visit !== this.visit || this.goingAway) return;
    if ('nobody' in answer && this.link.phase.is !== 'ready') this.leaveHouse(true);
  }

  private onStorage(event: StorageEvent): void {
    const { you } = this.chat;
    const key = you && storage.struckElsewhere(you.id, event);
    if (key) this.change(() => this.chat.outbox.forget(key));
  }

  private followAddress(): void {
    const name = roomOfAddress();
    const active = this.chat.activeRoom;
    if (this.stage !== 'chat' || !name || (active && roomKey(active.name) === roomKey(name))) return;
    this.go(name);
  }

  /** The address bar and the next visit follow the room on the screen. */
  private rememberRoom(): void {
    const room = this.chat.activeRoom;
    // While another room is on its way, the address already names it.
    if (!room || this.chat.wanted !== null) return;
    storage.remember('room', room.name);
    const hash = `#${encodeURIComponent(room.name)}`;
    const there = roomOfAddress();
    if (there !== null && roomKey(there) === roomKey(room.name)) return;
    if (there === null) history.replaceState(null, '', hash);
    else history.pushState(null, '', hash);
  }

  // --- the round: change, say, keep, show --------------------------------------------------------------------------

  private change(how: () => void): void {
    this.act(() => {
      how();
      return [];
    });
  }

  private command(command: Command | null): boolean {
    if (command) this.change(() => this.transmit([command]));
    return command !== null;
  }

  private act(how: () => readonly LinkEffect[]): void {
    const now = this.now();
    this.perform(how());
    this.perform(this.link.tick(now));
    expireTypers(this.chat, now);
    this.transmit(poll(this.chat, now));
    this.keepOutbox();
    if (this.stage === 'chat') this.rememberRoom();
    this.wakeAt(now);
    this.publishSoon();
  }

  private transmit(commands: readonly Command[]): void {
    if (commands.length === 0 || !this.socket) return;
    for (const frame of encode(commands, this.chat.limits.frame_bytes)) this.socket.send(frame);
  }

  private keepOutbox(): void {
    const { you, outbox } = this.chat;
    const changes = outbox.drainChanges();
    if (you) storage.keep(you.id, changes);
  }

  private wakeAt(now: number): void {
    clearTimeout(this.timer);
    const due = [this.link.deadline(), pollDeadline(this.chat, now)].filter((at) => at !== null);
    if (due.length === 0) return;
    this.timer = setTimeout(() => this.act(() => []), Math.max(0, Math.min(...due) - now) + 1);
  }

  /** `before` runs right before the screen changes, what it returns right after: so a reader keeps their place. */
  onPublish(before: () => (() => void) | void): () => void {
    this.aroundPublish.add(before);
    return () => this.aroundPublish.delete(before);
  }

  /** However much happens, the screen changes once a frame; in a hidden page, where there are no frames, now and then. */
  private publishSoon(): void {
    if (!this.published) return;
    this.published = false;
    const publish = () => {
      if (this.published) return;
      this.published = true;
      const after = [...this.aroundPublish].map((before) => before());
      this.revisionSignal[1]((revision) => revision + 1);
      for (const then of after) then?.();
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(publish);
    // A page that is hidden before its frame comes must not wait for it.
    setTimeout(publish, 250);
  }
}

/** The room that the address names: `#tea`. */
function roomOfAddress(): string | null {
  let text: string;
  try {
    text = decodeURIComponent(location.hash);
  } catch {
    return null;
  }
  const name = roomName(text);
  return name.ok ? name.name : null;
}
