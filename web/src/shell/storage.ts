import type { OutboxChange, OutboxItem } from '../core/outbox';
import type { RoomId, UserId } from '../protocol/types';

/**
 * What the browser keeps between visits. Each unsent message has a place of its own, so that two tabs of one person never
 * write over each other. Where storage is denied or full, the page works and forgets.
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
    // Denied or full; nothing here is needed to go on.
  }
}

export type PreferenceKey = 'locale' | 'theme' | 'name' | 'room' | 'people';
export const loadPreference = (what: PreferenceKey): string | null => get(what);
export const savePreference = (what: PreferenceKey, value: string | null): void => set(what, value);

export const loadDraft = (user: UserId, room: RoomId): string => get(`draft.${user}.${room}`) ?? '';
export const saveDraft = (user: UserId, room: RoomId, text: string): void => set(`draft.${user}.${room}`, text === '' ? null : text);

export const saveOutboxItem = (user: UserId, item: OutboxItem): void => set(`outbox.${user}.${item.key}`, JSON.stringify(item));
export const removeOutboxItem = (user: UserId, key: string): void => set(`outbox.${user}.${key}`, null);

/** Does what the outbox says is to be written down or struck out. */
export function saveOutbox(user: UserId, changes: readonly OutboxChange[]): void {
  for (const change of changes) {
    if ('save' in change) saveOutboxItem(user, change.save);
    else removeOutboxItem(user, change.remove);
  }
}

/** The unsent messages of a person, from this tab's last life or another tab. */
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
 * If a storage event struck out an unsent message of this person in another tab: its key. Events come late; what was written
 * down again since then is kept.
 */
export function removedElsewhere(user: UserId, event: { key: string | null; newValue: string | null }): string | null {
  const prefix = `${PREFIX}outbox.${user}.`;
  if (event.newValue !== null || !event.key?.startsWith(prefix)) return null;
  const key = event.key.slice(prefix.length);
  return get(`outbox.${user}.${key}`) === null ? key : null;
}

/** What stands in storage may be of an older page, or of anybody's making. */
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
