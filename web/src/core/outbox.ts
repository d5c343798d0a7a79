import type { ErrorCode, ErrorFrame, RoomId, Seq } from '../protocol/types';
import { backoff } from './backoff';

/**
 * `waiting` to be sent · `sent`, unanswered · `delivered`: on the server's disk, its event not here yet · `failed`: refused for
 * good · `held`: written in another life of the store, so the person decides.
 */
export type OutboxState = 'waiting' | 'sent' | 'delivered' | 'failed' | 'held';

export interface OutboxItem {
  /** The `client_message_id`: sent again under the same one, it is the same message. */
  key: string;
  room: RoomId;
  body: string;
  /** When it was written, in milliseconds. */
  at: number;
  epoch: string;
  state: OutboxState;
  code?: ErrorCode;
  seq?: Seq;
  /** Refusals that may pass, in a row. */
  attempt: number;
  retryAt: number;
}

/** What the shell is to write down or strike out, so that a crash loses nothing that was typed and sent. */
export type OutboxChange = { save: OutboxItem } | { remove: string };

/**
 * Messages on their way. One message per room is under way at a time: should the first of two be put off, the second
 * must not overtake it.
 */
export class Outbox {
  items: OutboxItem[] = [];
  #changes: OutboxChange[] = [];

  /** Each is later than the last, so that `at` tells their order in storage too: two may be written in one millisecond. */
  add(item: Pick<OutboxItem, 'key' | 'room' | 'body' | 'at' | 'epoch'>): OutboxItem {
    const at = Math.max(item.at, (this.items.at(-1)?.at ?? -Infinity) + 1);
    const added: OutboxItem = { ...item, at, state: 'waiting', attempt: 0, retryAt: 0 };
    this.items.push(added);
    this.#changes.push({ save: added });
    return added;
  }

  /** What was written down before a reload. */
  restore(items: readonly OutboxItem[]): void {
    for (const item of items) {
      if (this.#find(item.key)) continue;
      const waits = item.state === 'sent' || item.state === 'delivered';
      this.items.push({ ...item, state: waits ? 'waiting' : item.state, retryAt: 0 });
    }
    this.items.sort((a, b) => a.at - b.at);
  }

  /** What was sent and not answered goes again, unchanged. */
  disconnected(): void {
    for (const item of this.items) if (item.state === 'sent') item.state = 'waiting';
  }

  /** Messages of another life of the store ask the person: what they answered may no longer be there. */
  setEpoch(epoch: string): void {
    for (const item of this.items) {
      if (item.epoch === epoch) continue;
      if (item.state === 'waiting' || item.state === 'sent') this.#setState(item, 'held');
    }
    const gone = this.items.filter((item) => item.epoch !== epoch && item.state === 'delivered');
    for (const item of gone) this.#drop(item);
  }

  /** What may be sent now, at most one a room. They count as sent from here on. */
  take(now: number, isOpen: (room: RoomId) => boolean): OutboxItem[] {
    const taken: OutboxItem[] = [];
    const seen = new Set<RoomId>();
    for (const item of this.items) {
      if (item.state !== 'waiting' && item.state !== 'sent') continue;
      if (seen.has(item.room)) continue;
      seen.add(item.room);
      if (item.state === 'sent' || item.retryAt > now || !isOpen(item.room)) continue;
      item.state = 'sent';
      taken.push(item);
    }
    return taken;
  }

  /** `ok` came: it is on disk there, so it need not be kept here. Shown until its event comes. */
  confirm(key: string, seq: Seq, eventIsHere: boolean): void {
    const item = this.#find(key);
    if (!item) return;
    this.#changes.push({ remove: key });
    if (eventIsHere) return this.#drop(item);
    item.state = 'delivered';
    item.seq = seq;
    delete item.code;
  }

  onError(key: string, error: Pick<ErrorFrame, 'code' | 'retryable' | 'retry_after_ms'>, now: number, random: number): void {
    const item = this.#find(key);
    // What was answered, or given up with its room, is no more under way.
    if (item?.state !== 'sent') return;
    item.code = error.code;
    if (!error.retryable) return this.#setState(item, 'failed');
    const wait = Math.max(error.retry_after_ms ?? 0, backoff(item.attempt + 1, 0.5 + random / 2));
    item.attempt += 1;
    item.state = 'waiting';
    item.retryAt = now + wait;
  }

  /** Its event came, which is what was waited for. */
  settle(key: string): boolean {
    const item = this.#find(key);
    if (!item) return false;
    this.#changes.push({ remove: key });
    this.#drop(item);
    return true;
  }

  /** What was delivered into a stretch that is not shown need not wait for it. */
  settleUpTo(room: RoomId, upTo: Seq): void {
    for (const item of this.items.filter((i) => i.room === room && i.state === 'delivered' && (i.seq ?? 0) <= upTo)) this.#drop(item);
  }

  /** The person is in this room no more; what waited for it does not go out by itself. */
  roomLeft(room: RoomId): void {
    for (const item of this.inRoom(room)) {
      if (item.state === 'delivered') this.#drop(item);
      else if (item.state === 'waiting' || item.state === 'sent') {
        item.code = 'not_a_member';
        this.#setState(item, 'failed');
      }
    }
  }

  /** The person wants it sent after all. A key that is taken for another message needs a new one. */
  retry(key: string, now: number, epoch: string, newKey: string): void {
    const item = this.#find(key);
    if (!item || (item.state !== 'failed' && item.state !== 'held')) return;
    this.#drop(item);
    const next = item.code === 'key_conflict' ? newKey : key;
    // Under its own key it is written over: were it struck out first, another tab would take it for settled.
    if (next !== key) this.#changes.push({ remove: key });
    this.add({ key: next, room: item.room, body: item.body, at: now, epoch });
  }

  /** The person does not want it any more. Only what failed, or was never under way. */
  discard(key: string): void {
    const item = this.#find(key);
    if (!item || (item.state !== 'failed' && item.state !== 'held')) return;
    this.#drop(item);
    this.#changes.push({ remove: key });
  }

  /** Another tab of this person struck it out. */
  dropUnsent(key: string): void {
    const item = this.#find(key);
    if (item && item.state !== 'sent' && item.state !== 'delivered') this.#drop(item);
  }

  /** The person is in these rooms and no others; they may have left one elsewhere since they wrote there. */
  retainRooms(isMember: (room: RoomId) => boolean): void {
    for (const room of new Set(this.items.map((item) => item.room))) if (!isMember(room)) this.roomLeft(room);
  }

  inRoom(room: RoomId): OutboxItem[] {
    return this.items.filter((item) => item.room === room);
  }

  /** When the next that was put off may go. What may go already waits for its room, and hides nobody else's time. */
  deadline(now: number): number | null {
    let first: number | null = null;
    for (const item of this.items) {
      if (item.state === 'waiting' && item.retryAt > now && (first === null || item.retryAt < first)) first = item.retryAt;
    }
    return first;
  }

  drainChanges(): OutboxChange[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  #find(key: string): OutboxItem | undefined {
    return this.items.find((item) => item.key === key);
  }

  #setState(item: OutboxItem, state: OutboxState): void {
    item.state = state;
    this.#changes.push({ save: item });
  }

  #drop(item: OutboxItem): void {
    this.items = this.items.filter((other) => other !== item);
  }
}
