import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commandsLike, parseLine, type Line } from './slash';

const cases: { line: string; is: unknown }[] = JSON.parse(
  readFileSync(new URL('../../../crates/domain/golden/slash.json', import.meta.url), 'utf8'),
);

function golden(line: Line): unknown {
  switch (line.is) {
    case 'say':
      return { say: line.text };
    case 'join':
      return { join: line.room };
    case 'name':
      return { name: line.name };
    case 'incomplete':
      return { incomplete: line.command };
    case 'unknown':
      return { unknown: line.word };
    default:
      return line.is;
  }
}

test('the golden lines are many', () => expect(cases.length).toBeGreaterThan(30));
for (const { line, is } of cases) {
  test(`${JSON.stringify(line)} means what the server takes it for`, () => expect(golden(parseLine(line))).toEqual(is));
}

test('a letter that only looks like one when lowered makes no command', () => {
  expect(parseLine('/\u212Aick')).toEqual({ is: 'unknown', word: '\u212Aick' });
});

test('commands are offered while the first word is typed', () => {
  expect(commandsLike('/')).toEqual(['join', 'leave', 'name', 'who', 'rooms', 'help']);
  expect(commandsLike('/J')).toEqual(['join']);
  expect(commandsLike('/join ')).toEqual([]);
  expect(commandsLike('//')).toEqual([]);
  expect(commandsLike('j')).toEqual([]);
});
