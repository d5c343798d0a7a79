import { roomKey } from '../protocol/names';
import type { Command, ErrorCode, Limits, User, RoomEvent, RoomId, RoomSummary } from '../protocol/types';
import { Outbox } from './outbox';
import { Room } from './room';

/** How many events are requested when a room is opened. */
export const INITIAL_EVENTS = 60;
/** The minimum interval between two `read` commands. */
export const READ_INTERVAL = 2_000;
/** The minimum interval between two `typing` commands. */
export const TYPING_INTERVAL = 3_000;
/** How many events of a room are kept; older ones are loaded again on demand. */
export const MAX_EVENTS = 12_000;
export const MAX_EVENTS_BACKGROUND = 1_000;

/** The limits before `welcome`: the defaults of a server (`Limits` in `crates/protocol`). */
export const DEFAULT_LIMITS: Limits = {
  body_bytes: 8192,
  frame_bytes: 65536,
  room_name_chars: 64,
  user_name_chars: 32,
  catch_up_events: 1000,
  history_events: 500,
};

/** A line of the composer. It returns there if its command fails. */
export interface TypedLine {
  room: RoomId;
  text: string;
}

/** A short notification for the user. */
export type Notice =
  | { kind: 'failed'; command: Command['type']; code: ErrorCode; subject?: string; line?: TypedLine | undefined }
  | { kind: 'removed'; room: string }
  | { kind: 'reset' }
  | { kind: 'renamed'; name: string };

/**
 * The state of the page, without sockets, clocks or rendering. `receive.ts` applies frames, `replies.ts` applies replies,
 * `actions.ts` applies user actions, and `reconcile.ts` derives the commands to send.
 */
export class Chat {
  you: User | null = null;
  epoch = '';
  limits: Limits = DEFAULT_LIMITS;

  readonly rooms = new Map<RoomId, Room>();
  readonly outbox = new Outbox();
  /** All rooms on the server, as last listed. */
  directory: RoomSummary[] = [];

  /** The active room. */
  active: RoomId | null = null;
  /** The room whose latest message the user is looking at. */
  focused: RoomId | null = null;
  /** A room name or id that becomes active once it is joined. */
  pendingRoom: string | null = null;

  /** Whether `welcome` arrived on this connection. */
  ready = false;
  /** Whether the joined rooms were listed on this connection. */
  roomsLoaded = false;
  /** The cursor of the next page of joined rooms. */
  roomsAfter: RoomId | undefined;
  /** The cursor of the next page of the directory. */
  directoryAfter: RoomId | null = null;
  /** When the directory was last requested; null: it is due. */
  directoryAt: number | null = null;
  readSentAt = 0;
  typingSentAt = 0;
  /** A `join` is in flight. */
  joining = false;
  retryAt = 0;

  /** Commands in flight, by `id`. */
  readonly pending = new Map<number, Command>();
  /** Those of them that the user started, with the line that the user typed. */
  readonly startedByUser = new WeakMap<Command, TypedLine | undefined>();
  readonly notices: Notice[] = [];
  /** New messages of the active room, for screen readers. */
  readonly announcements: RoomEvent[] = [];
  #nextId = 1;

  /** Assigns an id to a command, so that its reply can be matched. */
  track<T extends Command>(command: T): T {
    const numbered = { ...command, id: this.#nextId++ };
    this.pending.set(numbered.id, numbered);
    return numbered;
  }

  isPending(type: Command['type'], matches?: (command: Command) => boolean): boolean {
    for (const command of this.pending.values()) if (command.type === type && (!matches || matches(command))) return true;
    return false;
  }

  room(id: RoomId): Room | undefined {
    return this.rooms.get(id);
  }

  get activeRoom(): Room | null {
    return this.active === null ? null : (this.rooms.get(this.active) ?? null);
  }

  find(nameOrId: string): Room | undefined {
    const byId = this.rooms.get(nameOrId as RoomId);
    if (byId) return byId;
    const key = roomKey(nameOrId.replace(/^#/, ''));
    for (const room of this.rooms.values()) if (roomKey(room.name) === key) return room;
    return undefined;
  }

  ensureRoom(id: RoomId, name: string): Room {
    let room = this.rooms.get(id);
    if (!room) this.rooms.set(id, (room = new Room(id, name)));
    room.name = name;
    return room;
  }

  get joinedRooms(): Room[] {
    return [...this.rooms.values()].filter((room) => room.member);
  }

  get unreadTotal(): number {
    let total = 0;
    for (const room of this.rooms.values()) if (room.member) total += room.unread;
    return total;
  }

  /** Makes a room the active one. */
  activate(id: RoomId): void {
    if (this.active === id) return;
    const left = this.activeRoom;
    if (left) {
      left.marker = null;
      left.log?.trim(MAX_EVENTS_BACKGROUND);
    }
    this.active = id;
    this.focused = null;
    this.announcements.length = 0;
    const room = this.rooms.get(id);
    if (room && room.unread > 0 && room.read) room.marker = room.read.seq;
  }

  /** Drops the state of a room after the membership ended. */
  dropRoom(room: Room): void {
    room.member = false;
    room.state = 'closed';
    room.clear();
    room.setUsers(0, []);
    this.outbox.roomLeft(room.id);
    if (this.active !== room.id) return;
    this.active = null;
    this.focused = null;
    const lobby = this.find('lobby');
    const fallback = lobby?.member ? lobby : this.joinedRooms[0];
    if (fallback) this.activate(fallback.id);
    else this.pendingRoom = 'lobby';
  }

  /** Resets the state of the connection. Commands in flight may not have arrived. */
  disconnected(): void {
    this.ready = false;
    this.roomsLoaded = false;
    this.roomsAfter = undefined;
    this.joining = false;
    this.retryAt = 0;
    this.directoryAt = null;
    this.pending.clear();
    // Without a connection, the user sees nothing new; what was missed is unread later.
    this.focused = null;
    this.outbox.disconnected();
    for (const room of this.rooms.values()) room.disconnected();
  }
}
