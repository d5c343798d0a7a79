/**
 * The rules of names in `crates/protocol`, so that an invalid name is reported before it is sent. The server decides;
 * the golden names keep both implementations equal.
 */

export const LOBBY = 'lobby';
export const ROOM_NAME_CHARS = 64;
export const USER_NAME_CHARS = 32;

export type NameFault = 'empty' | 'too_long' | 'character' | 'looks_like_id';
export type Name = { ok: true; name: string } | { ok: false; why: NameFault };

const SPACE_AROUND = /^\p{White_Space}+|\p{White_Space}+$/gu;
const LOOKS_LIKE_ID = /^r\d+$/;
const INVISIBLE =
  /[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180E\u200B\u200C\u200E\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF0-\uFFFB\u{E0000}-\u{E007F}]/u;

/** Letters and digits of any script, `-` and `_`; a leading `#` is dropped. */
export function roomName(text: string): Name {
  const trimmed = text.replace(SPACE_AROUND, '').replace(/^#/, '');
  if (characters(trimmed) > ROOM_NAME_CHARS) return wrong('too_long');
  const name = trimmed.normalize('NFKC');
  if (name === '') return wrong('empty');
  if (characters(name) > ROOM_NAME_CHARS) return wrong('too_long');
  if (!/^[\p{Alphabetic}\p{N}_-][\p{Alphabetic}\p{N}\p{M}_-]*$/u.test(name) || /^\p{M}/u.test(name)) return wrong('character');
  if (LOOKS_LIKE_ID.test(roomKey(name))) return wrong('looks_like_id');
  return { ok: true, name };
}

/** The key by which room names are compared: without case and width. */
export function roomKey(name: string): string {
  // JavaScript has no case folding. Upper and then lower case folds the cases that matter: ß and ss, and the two small sigmas.
  return name.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ').normalize('NFKC');
}

/** Almost any text, but without invisible characters and without those that could forge a line of plain text. */
export function userName(text: string): Name {
  const name = text.replace(SPACE_AROUND, '').split(/\p{White_Space}+/u).join(' ').normalize('NFC');
  if (name === '') return wrong('empty');
  if (characters(name) > USER_NAME_CHARS) return wrong('too_long');
  if (/[\p{Cc}:：]/u.test(name) || /^[*/\p{M}]/u.test(name) || INVISIBLE.test(name)) return wrong('character');
  return { ok: true, name };
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function wrong(why: NameFault): Name {
  return { ok: false, why };
}
