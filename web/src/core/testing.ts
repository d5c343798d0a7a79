import type { Command, MessageEvent, RoomEvent, RoomId, Seq, ServerFrame, UserId } from '../protocol/types';
import { Chat, DEFAULT_LIMITS } from './chat';
import { receive } from './receive';

/** A seeded random generator (mulberry32): a failure prints its seed and can be replayed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const at = (seq: Seq) => new Date(Date.UTC(2026, 10, 22, 10, 0, seq)).toISOString();

export function message(seq: Seq, more: Partial<MessageEvent> = {}): MessageEvent {
  return { type: 'message', room: 'r1', seq, n: seq, by: { id: 'u8', name: 'Ann' }, at: at(seq), body: `message ${seq}`, ...more };
}

export function welcome(epoch = 'e1', id: UserId = 'u7'): ServerFrame {
  return { type: 'welcome', you: { id, name: '李雷' }, epoch, limits: DEFAULT_LIMITS, server: 'test' };
}

/** A chat in the lobby, r1, with `head` events, at `now` 0. */
export function chatInLobby(head = 0): Chat {
  const chat = new Chat();
  receive(chat, welcome(), 0, 0);
  chat.roomsLoaded = true;
  const room = chat.ensureRoom('r1', 'lobby');
  room.member = true;
  room.requestedAfter = 0;
  chat.active = 'r1';
  receive(chat, { type: 'joined', room: 'r1', name: 'lobby', head, n: head, count: 1, online: [] }, 0, 0);
  for (let seq = 1; seq <= head; seq++) receive(chat, message(seq), 0, 0);
  return chat;
}

/** An in-memory `localStorage`, shared by the tabs of one user. Its key order is unspecified. */
export function memoryStorage(onRemoved: (key: string) => void = () => {}) {
  const held = new Map<string, string>();
  return {
    get length() {
      return held.size;
    },
    key: (i: number) => [...held.keys()].reverse()[i] ?? null,
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
    removeItem: (key: string) => {
      if (held.delete(key)) onRemoved(key);
    },
  };
}

/** The state that all connections of a faulty server share. */
export class FaultyStore {
  log: RoomEvent[] = [];
  n = 0;
  epoch = 'e1';
  readonly keys = new Map<string, { seq: Seq; body: string }>();
  /** Every message received, whatever the reply was, and in which epoch. */
  readonly received: { body: string; epoch: string }[] = [];
  readonly connections: FaultyServer[] = [];
}

/**
 * The server of docs/PROTOCOL.md with one room, as seen by one connection, with random faults: it disconnects anywhere,
 * reorders replies, returns retryable errors, and sends gaps. It keeps only what the protocol guarantees.
 */
export class FaultyServer {
  readonly room: RoomId = 'r1';
  private toClient: ServerFrame[] = [];
  private replies: ServerFrame[] = [];
  private open = false;

  constructor(
    private readonly random: () => number,
    private readonly catchUp = 20,
    private readonly faultRate = 0.1,
    readonly store = new FaultyStore(),
  ) {
    store.connections.push(this);
  }

  get log(): RoomEvent[] {
    return this.store.log;
  }

  /** Loses everything in flight. */
  disconnect(): void {
    this.toClient = [];
    this.replies = [];
    this.open = false;
  }

  connect(): void {
    this.disconnect();
    this.toClient.push(welcome(this.store.epoch));
  }

  /** Appends a message of another user. */
  appendFromOther(body: string): void {
    this.append({ id: 'u8', name: 'Ann' }, body);
  }

  handle(command: Command): void {
    const id = command.id!;
    const ok = (fields: object = {}) => this.replies.push({ type: 'ok', id, ...fields } as ServerFrame);
    const reject = () => this.replies.push({ type: 'error', id, code: 'overloaded', message: '', retryable: true, retry_after_ms: 10 });
    switch (command.type) {
      case 'rooms':
        return void ok({ rooms: [{ room: 'r1', name: 'lobby', head: this.log.length, n: this.store.n, count: 1, joined: true }] });
      case 'resume': {
        if (this.random() < this.faultRate) return void reject();
        this.openRoom(command.rooms.r1 ?? 0, command.epoch);
        return void ok();
      }
      case 'send': {
        this.store.received.push({ body: command.body, epoch: this.store.epoch });
        if (this.random() < this.faultRate) return void reject();
        const known = this.store.keys.get(command.client_message_id);
        if (known) return void ok({ seq: known.seq });
        const seq = this.append({ id: 'u7', name: '李雷' }, command.body, command.client_message_id);
        this.store.keys.set(command.client_message_id, { seq, body: command.body });
        // Stored, but the acknowledgement is lost.
        if (this.random() < this.faultRate) return void reject();
        return void ok({ seq });
      }
      case 'history': {
        if (this.random() < this.faultRate) return void reject();
        const limit = Math.min(command.limit ?? 100, 7);
        const all = command.before !== undefined ? this.log.slice(0, command.before - 1) : this.log.slice(command.after ?? 0);
        const events = command.before !== undefined ? all.slice(-limit) : all.slice(0, limit);
        return void ok({ events, more: all.length > events.length });
      }
      case 'read':
        return void ok({ seq: command.seq, n: 0 });
      default:
        return void ok();
    }
  }

  /** Returns some of the frames in flight. Replies may arrive before or after events. */
  deliver(most: number): ServerFrame[] {
    const out: ServerFrame[] = [];
    while (out.length < most && (this.toClient.length > 0 || this.replies.length > 0)) {
      const reply = this.replies.length > 0 && (this.toClient.length === 0 || this.random() < 0.4);
      const at = reply ? Math.floor(this.random() * this.replies.length) : 0;
      out.push(reply ? this.replies.splice(at, 1)[0]! : this.toClient.shift()!);
    }
    return out;
  }

  /** Restores the first `keep` events as from a backup, in a new epoch. */
  restore(keep: number): void {
    const { store } = this;
    store.epoch += '+';
    store.log = store.log.slice(0, keep);
    store.n = store.log.length;
    for (const [key, { seq }] of store.keys) if (seq > keep) store.keys.delete(key);
  }

  private openRoom(after: Seq, epoch: string | undefined): void {
    const head = this.log.length;
    let from: Seq = after;
    if (epoch !== this.store.epoch || after > head) {
      this.toClient.push({ type: 'reset', room: 'r1', epoch: this.store.epoch });
      from = head;
    }
    this.toClient.push({ type: 'joined', room: 'r1', name: 'lobby', head, n: this.store.n, count: 1, online: [] });
    if (head - from > this.catchUp) this.toClient.push({ type: 'gap', room: 'r1', from: from + 1, to: head });
    else this.toClient.push(...this.log.slice(from));
    this.open = true;
  }

  private append(by: MessageEvent['by'], body: string, key?: string): Seq {
    const { store } = this;
    store.n += 1;
    const event = message(store.log.length + 1, { n: store.n, by, body, ...(key !== undefined && { client_message_id: key }) });
    store.log.push(event);
    for (const line of store.connections) line.deliverEvent(event);
    return event.seq;
  }

  private deliverEvent(event: MessageEvent): void {
    if (this.open) this.toClient.push(event);
    // Backpressure: for a slow reader, undelivered messages become a gap.
    const waiting = this.toClient.filter((frame) => frame.type === 'message').length;
    if (this.open && waiting > 15) {
      const first = this.toClient.findIndex((frame) => frame.type === 'message');
      const from = (this.toClient[first] as MessageEvent).seq;
      this.toClient = this.toClient.filter((frame) => frame.type !== 'message');
      this.toClient.push({ type: 'gap', room: 'r1', from, to: event.seq });
    }
  }
}
