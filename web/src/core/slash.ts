/** What a line in the composer means: the same in the server's plain text, see `crates/domain/golden/slash.json`. */
export type Line =
  | { is: 'say'; text: string }
  | { is: 'join'; room: string }
  | { is: 'name'; name: string }
  | { is: 'leave' | 'who' | 'rooms' | 'help' }
  | { is: 'incomplete'; command: 'join' | 'name' }
  | { is: 'unknown'; word: string };

export const COMMANDS = ['join', 'leave', 'name', 'who', 'rooms', 'help'] as const;
export type CommandName = (typeof COMMANDS)[number];

/** What parts a command from what follows it; a short list, so that it is the same in every language. */
const SPACES = ' \\t\\n\\r\\u3000';
const COMMAND = new RegExp(`^/([^${SPACES}]*)(?:[${SPACES}]([^]*))?$`);
const AROUND = new RegExp(`^[${SPACES}]+|[${SPACES}]+$`, 'g');

/** Only a slash in the very first place makes a command: whoever begins with a space speaks. */
export function parseLine(line: string): Line {
  if (!line.startsWith('/')) return { is: 'say', text: line };
  if (line.startsWith('//')) return { is: 'say', text: line.slice(1) };
  const [, word = '', rest = ''] = COMMAND.exec(line) ?? [];
  const argument = rest.replace(AROUND, '');
  // Only ASCII letters lose their case: `toLowerCase` would make K of the Kelvin sign.
  switch (word.replace(/[A-Z]/g, (letter) => letter.toLowerCase())) {
    case 'join':
      return argument === '' ? { is: 'incomplete', command: 'join' } : { is: 'join', room: argument };
    case 'name':
      return argument === '' ? { is: 'incomplete', command: 'name' } : { is: 'name', name: argument };
    case 'leave':
      return { is: 'leave' };
    case 'who':
      return { is: 'who' };
    case 'rooms':
      return { is: 'rooms' };
    case 'help':
      return { is: 'help' };
    default:
      return { is: 'unknown', word };
  }
}

/** The commands that a line may become: what is offered while one is typed. */
export function commandsLike(line: string): CommandName[] {
  const typed = /^\/([a-z]*)$/i.exec(line);
  return typed ? COMMANDS.filter((name) => name.startsWith(typed[1]!.toLowerCase())) : [];
}
