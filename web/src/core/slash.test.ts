import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Line, matchCommands, parseLine } from './slash';

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
    case 'topic':
      return { topic: line.topic };
    case 'incomplete':
      return { incomplete: line.command };
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

test('commands are completed while the first word is typed', () => {
  expect(matchCommands('/')).toEqual(['join', 'leave', 'name', 'topic', 'who', 'rooms', 'help']);
  expect(matchCommands('/J')).toEqual(['join']);
  expect(matchCommands('/join ')).toEqual([]);
  expect(matchCommands('//')).toEqual([]);
  expect(matchCommands('j')).toEqual([]);
});
