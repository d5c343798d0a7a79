import type { ErrorCode, ErrorFrame, RoomId, Seq } from '../protocol/types';
import { retryDelay } from './backoff';

/**
 * `waiting` to be sent · `sent`, not acknowledged · `delivered`: stored by the server, its event not received yet · `failed`:
 * rejected permanently · `held`: written in another epoch, the user decides.
 */
export type OutboxState = 'waiting' | 'sent' | 'delivered' | 'failed' | 'held';

export interface OutboxItem {
  /** The `client_message_id`, the idempotency key of retries. */
  key: string;
  room: RoomId;
  body: string;
  /** The time of writing, in milliseconds since 1970. */
  at: number;
  epoch: string;
  state: OutboxState;
  code?: ErrorCode;
  seq?: Seq;
  /** Consecutive retryable errors. */
  attempt: number;
  retryAt: number;
}

/** A change for the shell to persist, so that a crash loses no message that was sent. */
export type OutboxChange = { save: OutboxItem } | { remove: string };

/**
 * Messages not yet received back as events. At most one message per room is in flight: if the first of two is throttled, the
 * second must not overtake it.
 */
export class Outbox {
  items: OutboxItem[] = [];
  #changes: OutboxChange[] = [];

  /** `at` increases strictly, because it also defines the order in storage and two messages may share a millisecond. */
  add(item: Pick<OutboxItem, 'key' | 'room' | 'body' | 'at' | 'epoch'>): OutboxItem {
    const at = Math.max(item.at, (this.items.at(-1)?.at ?? -Infinity) + 1);
    const added: OutboxItem = { ...item, at, state: 'waiting', attempt: 0, retryAt: 0 };
    this.items.push(added);
    this.#changes.push({ save: added });
    return added;
  }

  /** Adds what an earlier run or another tab persisted. */
  restore(items: readonly OutboxItem[]): void {
    for (const item of items) {
      if (this.#find(item.key)) continue;
      const waits = item.state === 'sent' || item.state === 'delivered';
      this.items.push({ ...item, state: waits ? 'waiting' : item.state, retryAt: 0 });
    }
    this.items.sort((a, b) => a.at - b.at);
  }

  /** Unacknowledged messages will be sent again with the same key. */
  disconnected(): void {
    for (const item of this.items) if (item.state === 'sent') item.state = 'waiting';
  }

  /** After a change of epoch, messages need a decision of the user: what they replied to may be lost. */
  setEpoch(epoch: string): void {
    for (const item of this.items) {
      if (item.epoch === epoch) continue;
      if (item.state === 'waiting' || item.state === 'sent') this.#setState(item, 'held');
    }
    const stale = this.items.filter((item) => item.epoch !== epoch && item.state === 'delivered');
    for (const item of stale) this.#drop(item);
  }

  /** Returns what may be sent now, at most one per room, and marks it as sent. */
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

  /** After `ok`, the message is stored by the server and is no longer persisted here. It is shown until its event arrives. */
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
    // The message may have been acknowledged, or failed with its room, in the meantime.
    if (item?.state !== 'sent') return;
    item.code = error.code;
    if (!error.retryable) return this.#setState(item, 'failed');
    const wait = retryDelay(item.attempt + 1, random, error.retry_after_ms);
    item.attempt += 1;
    item.state = 'waiting';
    item.retryAt = now + wait;
  }

  /** Removes a message whose event arrived. Returns whether it was here. */
  settle(key: string): boolean {
    const item = this.#find(key);
    if (!item) return false;
    this.#changes.push({ remove: key });
    this.#drop(item);
    return true;
  }

  /** Removes delivered messages whose events lie in a gap: these events do not arrive by themselves. */
  settleUpTo(room: RoomId, upTo: Seq): void {
    for (const item of this.items.filter((i) => i.room === room && i.state === 'delivered' && (i.seq ?? 0) <= upTo)) this.#drop(item);
  }

  /** After leaving a room, its unsent messages fail; they must not be sent on a later join. */
  roomLeft(room: RoomId): void {
    for (const item of this.inRoom(room)) {
      if (item.state === 'delivered') this.#drop(item);
      else if (item.state === 'waiting' || item.state === 'sent') {
        item.code = 'not_a_member';
        this.#setState(item, 'failed');
      }
    }
  }

  /** Queues a failed or held message again. After `key_conflict` it needs a new key. */
  retry(key: string, now: number, epoch: string, newKey: string): void {
    const item = this.#find(key);
    if (!item || (item.state !== 'failed' && item.state !== 'held')) return;
    this.#drop(item);
    const next = item.code === 'key_conflict' ? newKey : key;
    // The same key is overwritten. Removing it first would look to other tabs like an acknowledgement.
    if (next !== key) this.#changes.push({ remove: key });
    this.add({ key: next, room: item.room, body: item.body, at: now, epoch });
  }

  /** Deletes a failed or held message. Others may be in flight. */
  discard(key: string): void {
    const item = this.#find(key);
    if (!item || (item.state !== 'failed' && item.state !== 'held')) return;
    this.#drop(item);
    this.#changes.push({ remove: key });
  }

  /** Removes a message that another tab removed from storage, unless it is in flight here. */
  dropUnsent(key: string): void {
    const item = this.#find(key);
    if (item && item.state !== 'sent' && item.state !== 'delivered') this.#drop(item);
  }

  /** Fails the messages to all rooms but these: the user may have left a room on another device. */
  retainRooms(isMember: (room: RoomId) => boolean): void {
    for (const room of new Set(this.items.map((item) => item.room))) if (!isMember(room)) this.roomLeft(room);
  }

  inRoom(room: RoomId): OutboxItem[] {
    return this.items.filter((item) => item.room === room);
  }

  /** The earliest retry. Messages that may be sent already wait for their room, not for a time. */
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
