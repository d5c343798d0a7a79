/** The meaning of a composer line, as in the server's plain-text protocol; see `crates/domain/golden/slash.json`. */
export type Line =
  | { kind: 'message'; text: string }
  | { kind: 'join'; room: string }
  | { kind: 'name'; name: string }
  | { kind: 'topic'; topic: string }
  | { kind: 'leave' | 'who' | 'rooms' | 'help' }
  | { kind: 'incomplete'; command: 'join' | 'name' }
  | { kind: 'unknown'; word: string };

export const COMMANDS = ['join', 'leave', 'name', 'topic', 'who', 'rooms', 'help'] as const;
export type CommandName = (typeof COMMANDS)[number];
export type CommandWithArgument = 'join' | 'name' | 'topic';

export function hasArgument(command: CommandName): command is CommandWithArgument {
  return command === 'join' || command === 'name' || command === 'topic';
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
  switch (word.replace(/[A-Z]/g, (letter) => letter.toLowerCase())) {
    case 'join':
      return argument === '' ? { kind: 'incomplete', command: 'join' } : { kind: 'join', room: argument };
    case 'name':
      return argument === '' ? { kind: 'incomplete', command: 'name' } : { kind: 'name', name: argument };
    case 'topic':
      return { kind: 'topic', topic: argument };
    case 'leave':
      return { kind: 'leave' };
    case 'who':
      return { kind: 'who' };
    case 'rooms':
      return { kind: 'rooms' };
    case 'help':
      return { kind: 'help' };
    default:
      return { kind: 'unknown', word };
  }
}

/** The commands that complete a partially typed line. */
export function matchCommands(line: string): CommandName[] {
  const typed = /^\/([a-z]*)$/i.exec(line);
  return typed ? COMMANDS.filter((name) => name.startsWith(typed[1]!.toLowerCase())) : [];
}
