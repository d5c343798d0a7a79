/** What a line in the composer means: the same in the server's plain text, see `crates/domain/golden/slash.json`. */
export type Line =
  | { kind: 'message'; text: string }
  | { kind: 'join'; room: string }
  | { kind: 'name'; name: string }
  | { kind: 'leave' | 'who' | 'rooms' | 'help' }
  | { kind: 'incomplete'; command: 'join' | 'name' }
  | { kind: 'unknown'; word: string };

export const COMMANDS = ['join', 'leave', 'name', 'who', 'rooms', 'help'] as const;
export type CommandName = (typeof COMMANDS)[number];

/** What parts a command from what follows it; a short list, so that it is the same in every language. */
const SPACES = ' \\t\\n\\r\\u3000';
const COMMAND = new RegExp(`^/([^${SPACES}]*)(?:[${SPACES}]([^]*))?$`);
const AROUND = new RegExp(`^[${SPACES}]+|[${SPACES}]+$`, 'g');

/** Only a slash in the very first place makes a command: whoever begins with a space speaks. */
export function parseLine(line: string): Line {
  if (!line.startsWith('/')) return { kind: 'message', text: line };
  if (line.startsWith('//')) return { kind: 'message', text: line.slice(1) };
  const [, word = '', rest = ''] = COMMAND.exec(line) ?? [];
  const argument = rest.replace(AROUND, '');
  // Only ASCII letters lose their case: `toLowerCase` would make K of the Kelvin sign.
  switch (word.replace(/[A-Z]/g, (letter) => letter.toLowerCase())) {
    case 'join':
      return argument === '' ? { kind: 'incomplete', command: 'join' } : { kind: 'join', room: argument };
    case 'name':
      return argument === '' ? { kind: 'incomplete', command: 'name' } : { kind: 'name', name: argument };
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

/** The commands that a line may become: what is offered while one is typed. */
export function matchCommands(line: string): CommandName[] {
  const typed = /^\/([a-z]*)$/i.exec(line);
  return typed ? COMMANDS.filter((name) => name.startsWith(typed[1]!.toLowerCase())) : [];
}
