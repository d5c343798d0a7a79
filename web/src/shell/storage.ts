import type { OutboxChange, OutboxItem } from '../core/outbox';
import type { RoomId, UserId } from '../protocol/types';

/**
 * What the browser keeps between visits. Each unsent message has its own key, so two tabs of one user never overwrite each
 * other. Where storage is denied or full, the page works without persistence.
 */
const PREFIX = 'teahouse.';

function get(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

function set(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // Denied or full. Nothing here is required to continue.
  }
}

export type PreferenceKey = 'locale' | 'theme' | 'name' | 'room' | 'users';
export const loadPreference = (what: PreferenceKey): string | null => get(what);
export const savePreference = (what: PreferenceKey, value: string | null): void => set(what, value);

export const loadDraft = (user: UserId, room: RoomId): string => get(`draft.${user}.${room}`) ?? '';
export const saveDraft = (user: UserId, room: RoomId, text: string): void => set(`draft.${user}.${room}`, text === '' ? null : text);

export const saveOutboxItem = (user: UserId, item: OutboxItem): void => set(`outbox.${user}.${item.key}`, JSON.stringify(item));
export const removeOutboxItem = (user: UserId, key: string): void => set(`outbox.${user}.${key}`, null);

/** Persists the changes of the outbox. */
export function saveOutbox(user: UserId, changes: readonly OutboxChange[]): void {
  for (const change of changes) {
    if ('save' in change) saveOutboxItem(user, change.save);
    else removeOutboxItem(user, change.remove);
  }
}

/** The unsent messages of a user, from an earlier run of this tab or from another tab. */
export function loadOutbox(user: UserId): OutboxItem[] {
  const prefix = `${PREFIX}outbox.${user}.`;
  const items: OutboxItem[] = [];
  try {
    for (let i = 0; i < localStorage.length; i++) {
      const key = localStorage.key(i);
      if (!key?.startsWith(prefix)) continue;
      const item = parseOutboxItem(localStorage.getItem(key));
      if (item) items.push(item);
    }
  } catch {
    return [];
  }
  return items;
}

/**
 * The key of an unsent message of this user, if a storage event shows that another tab removed it. Events arrive late, so a
 * message that was saved again since then is kept.
 */
export function removedElsewhere(user: UserId, event: { key: string | null; newValue: string | null }): string | null {
  const prefix = `${PREFIX}outbox.${user}.`;
  if (event.newValue !== null || !event.key?.startsWith(prefix)) return null;
  const key = event.key.slice(prefix.length);
  return get(`outbox.${user}.${key}`) === null ? key : null;
}

/** Parses a stored message. The value may come from an older version of the page or be corrupt. */
export function parseOutboxItem(text: string | null): OutboxItem | null {
  try {
    const item: unknown = JSON.parse(text ?? 'null');
    if (typeof item !== 'object' || item === null) return null;
    const { key, room, body, at, epoch, state, code } = item as Partial<OutboxItem>;
    if (typeof key !== 'string' || typeof room !== 'string' || typeof body !== 'string') return null;
    if (typeof at !== 'number' || typeof epoch !== 'string') return null;
    const known = state === 'failed' || state === 'held' ? state : 'waiting';
    return { key, room, body, at, epoch, state: known, ...(code && { code }), attempt: 0, retryAt: 0 };
  } catch {
    return null;
  }
}
