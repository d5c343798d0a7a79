import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { matchCommands, parseLine, type Line } from './slash';

const cases: { line: string; is: unknown }[] = JSON.parse(
  readFileSync(new URL('../../../crates/domain/golden/slash.json', import.meta.url), 'utf8'),
);

function golden(line: Line): unknown {
  switch (line.kind) {
    case 'message':
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
      return line.kind;
  }
}

test('the golden lines are many', () => expect(cases.length).toBeGreaterThan(30));
for (const { line, is } of cases) {
  test(`${JSON.stringify(line)} means what the server takes it for`, () => expect(golden(parseLine(line))).toEqual(is));
}

test('a letter that only looks like one when lowered makes no command', () => {
  expect(parseLine('/\u212Aick')).toEqual({ kind: 'unknown', word: '\u212Aick' });
});

test('commands are offered while the first word is typed', () => {
  expect(matchCommands('/')).toEqual(['join', 'leave', 'name', 'who', 'rooms', 'help']);
  expect(matchCommands('/J')).toEqual(['join']);
  expect(matchCommands('/join ')).toEqual([]);
  expect(matchCommands('//')).toEqual([]);
  expect(matchCommands('j')).toEqual([]);
});
