import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commandOf, type Line, matchCommands, parseLine, WORDS } from './slash';

const cases: { line: string; is: unknown }[] = JSON.parse(
  readFileSync(new URL('../../../crates/domain/golden/slash.json', import.meta.url), 'utf8'),
);

function golden(line: Line): unknown {
  switch (line.kind) {
    case 'message':
      return { say: line.text };
    case 'command':
      return line.slash.argument === null ? line.slash.word : { [line.slash.word]: line.argument };
    case 'incomplete':
      return { incomplete: line.word };
    case 'unknown':
      return { unknown: line.word };
    default:
      return line.kind;
  }
}

test('golden file has more than 30 lines', () => expect(cases.length).toBeGreaterThan(30));
for (const { line, is } of cases) {
  test(`${JSON.stringify(line)} parses as on the server`, () => expect(golden(parseLine(line))).toEqual(is));
}

test('Kelvin sign in a command is not folded to k', () => {
  expect(parseLine('/\u212Aick')).toEqual({ kind: 'unknown', word: '\u212Aick' });
});

test('argument and current room are fields of the command', () => {
  const command = (line: string) => {
    const parsed = parseLine(line);
    return parsed.kind === 'command' ? commandOf(parsed.slash, parsed.argument, 'r7') : parsed;
  };
  expect(command('/leave')).toEqual({ type: 'leave', room: 'r7' });
  expect(command('/name Li')).toEqual({ type: 'rename', name: 'Li' });
  expect(command('/join tea')).toEqual({ type: 'join', room: 'tea' });
  expect(command('/rooms')).toEqual({ type: 'rooms' });
});

test('commands are completed while the first word is typed', () => {
  expect(matchCommands('/')).toEqual(WORDS);
  expect(WORDS).toEqual(expect.arrayContaining(['join', 'leave', 'name', 'who', 'rooms', 'help']));
  expect(matchCommands('/J')).toEqual(['join']);
  expect(matchCommands('/join ')).toEqual([]);
  expect(matchCommands('//')).toEqual([]);
  expect(matchCommands('j')).toEqual([]);
});
