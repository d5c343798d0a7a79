import type { Dictionary } from '../i18n';
import type { RoomEvent } from '../protocol/types';

/** The text `event.TYPE`. Its parameters are the fields of the event, and `name`, the user who caused it. */
export function eventText(event: RoomEvent, words: Dictionary): string {
  // Safe to look up: the generator checks that each event has a text, and each parameter a field.
  const texts = words.event as unknown as Record<string, ((fields: Record<string, unknown>) => string) | undefined>;
  return texts[event.type]?.({ ...event, name: event.by.name }) ?? '';
}
