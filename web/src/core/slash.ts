import { SLASH_COMMANDS } from '../protocol/generated';
import type { Command, RoomId } from '../protocol/types';

/** A slash command of the operation table. */
export type SlashCommand = (typeof SLASH_COMMANDS)[number];
export type SlashWord = SlashCommand['word'] | 'help';

/** The meaning of a composer line, as in the server's plain-text protocol; see `crates/domain/golden/slash.json`. */
export type Line =
  | { kind: 'message'; text: string }
  | { kind: 'command'; slash: SlashCommand; argument: string }
  | { kind: 'incomplete'; word: SlashWord }
  | { kind: 'help' }
  | { kind: 'unknown'; word: string };

/** Every word, in the order of the help. */
export const WORDS: readonly SlashWord[] = [...SLASH_COMMANDS.map(({ word }) => word), 'help'];

export function hasArgument(word: SlashWord): boolean {
  return SLASH_COMMANDS.some((slash) => slash.word === word && slash.argument !== null);
}

/** The separators between a command and its argument. A fixed list, identical in all implementations. */
const SPACES = ' \\t\\n\\r\\u3000';
const COMMAND = new RegExp(`^/([^${SPACES}]*)(?:[${SPACES}]([^]*))?$`);
const OUTER_SPACES = new RegExp(`^[${SPACES}]+|[${SPACES}]+$`, 'g');

/** Only a slash at the very start makes a command; a leading space makes a message. */
export function parseLine(line: string): Line {
  if (!line.startsWith('/')) return { kind: 'message', text: line };
  if (line.startsWith('//')) return { kind: 'message', text: line.slice(1) };
  const [, word = '', rest = ''] = COMMAND.exec(line) ?? [];
  const argument = rest.replace(OUTER_SPACES, '');
  // Folds ASCII letters only: `toLowerCase` would turn the Kelvin sign into k.
  const folded = word.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (folded === 'help') return { kind: 'help' };
  const slash = SLASH_COMMANDS.find((command) => command.word === folded);
  if (!slash) return { kind: 'unknown', word };
  const isIncomplete = argument === '' && slash.argument !== null && !slash.mayBeEmpty;
  return isIncomplete ? { kind: 'incomplete', word: slash.word } : { kind: 'command', slash, argument };
}

/** The command of a line: the rest of the line is one of its fields, and the current room another. */
export function commandOf(slash: SlashCommand, argument: string, room: RoomId): Command {
  const fields = { ...(slash.inRoom && { room }), ...(slash.argument !== null && { [slash.argument]: argument }) };
  return { type: slash.operation, ...fields } as Command;
}

/** The words that complete a partially typed line. */
export function matchCommands(line: string): SlashWord[] {
  const typed = /^\/([a-z]*)$/i.exec(line);
  return typed ? WORDS.filter((word) => word.startsWith(typed[1]!.toLowerCase())) : [];
}
