import type { Command, ErrorCode, Limits, Person, RoomEvent, RoomId, RoomSummary } from '../protocol/types';
import { roomKey } from '../protocol/names';
import { Outbox } from './outbox';
import { Room } from './room';

/** How many events of a room are asked for when it is opened. */
export const INITIAL_EVENTS = 60;
/** Not more than one `read` in this time. */
export const READ_INTERVAL = 2_000;
/** Not more than one `typing` in this time. */
export const TYPING_INTERVAL = 3_000;
/** How many events of a room are kept; older ones are loaded again when they are wanted. */
export const MAX_EVENTS = 12_000;
export const MAX_EVENTS_BACKGROUND = 1_000;

/** Something the person should be told in passing. */
export type Notice =
  | { kind: 'failed'; command: Command['type']; code: ErrorCode; subject?: string }
  | { kind: 'removed'; room: string }
  | { kind: 'reset' }
  | { kind: 'renamed'; name: string };

/**
 * Everything the page knows, and nothing of sockets, clocks or the screen. Told of frames (`receive.ts`), replies
 * (`replies.ts`) and the person's actions (`actions.ts`); asked what to say next (`reconcile.ts`).
 */
export class Chat {
  you: Person | null = null;
  epoch = '';
  limits: Limits = {
    body_bytes: 8192,
    frame_bytes: 65536,
    room_name_chars: 64,
    user_name_chars: 32,
    catch_up_events: 1000,
    history_events: 500,
  };

  readonly rooms = new Map<RoomId, Room>();
  readonly outbox = new Outbox();
  /** Every room of the house, as last listed. */
  directory: RoomSummary[] = [];

  /** The room on the screen. */
  active: RoomId | null = null;
  /** The room whose latest message the person is looking at now. */
  focused: RoomId | null = null;
  /** A room by name (or id) that is to become the active one as soon as it can. */
  pendingRoom: string | null = null;

  /** `welcome` came on this connection. */
  ready = false;
  /** The rooms one is a member of are known on this connection. */
  roomsLoaded = false;
  /** Where the next page of them begins. */
  roomsAfter: RoomId | undefined;
  /** Where the next page of the directory begins. */
  directoryAfter: RoomId | null = null;
  /** When the directory was last asked for; null: it is due. */
  directoryAt: number | null = null;
  readSentAt = 0;
  typingSentAt = 0;
  /** Nobody asks for these twice on one connection; see `reconcile.ts`. */
  joining = false;
  retryAt = 0;

  /** Commands under way, by `id`. */
  readonly pending = new Map<number, Command>();
  readonly notices: Notice[] = [];
  /** Live messages of the active room, for who listens instead of looks. */
  readonly announcements: RoomEvent[] = [];
  #nextId = 1;

  /** Numbers a command, so that its reply is known. */
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

  /** Puts a room on the screen. */
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

  /** The connection is gone; what was under way is not known to have arrived. */
  disconnected(): void {
    this.ready = false;
    this.roomsLoaded = false;
    this.roomsAfter = undefined;
    this.joining = false;
    this.retryAt = 0;
    this.directoryAt = null;
    this.pending.clear();
    // Whoever looks at the page sees nothing new until it is back; what was missed is news then.
    this.focused = null;
    this.outbox.disconnected();
    for (const room of this.rooms.values()) room.disconnected();
  }
}
