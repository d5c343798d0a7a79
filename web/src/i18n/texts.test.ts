import { readdirSync, readFileSync } from 'node:fs';
import { parseSync, traverse } from '@babel/core';
import { describe, expect, test } from 'vitest';
import { eventText } from '../view/eventText';
import { membershipText } from '../view/membershipText';
import { createFormat, isolated } from './format';
import { chooseLocale, DICTIONARIES, type Locale } from './index';

const VIEW = new URL('../', import.meta.url);
const READ_ALOUD = new Set(['aria-label', 'aria-description', 'aria-roledescription', 'title', 'placeholder', 'alt', 'label']);
const WORDS = /[\p{L}]{2}|[\p{Script=Han}]/u;

describe('component texts', () => {
  const files = readdirSync(VIEW, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.tsx'));

  test('component files are found', () => expect(files.length).toBeGreaterThan(10));
  for (const file of files) {
    test(`${file} contains no literal text`, () => {
      const found: string[] = [];
      const note = (text: string) => {
        if (WORDS.test(text)) found.push(text.trim());
      };
      const tree = parseSync(readFileSync(new URL(file, VIEW), 'utf8'), {
        configFile: false,
        babelrc: false,
        parserOpts: { plugins: ['jsx', 'typescript'] },
      });
      traverse(tree!, {
        JSXText: ({ node }) => note(node.value),
        JSXExpressionContainer({ node, parent }) {
          if (parent.type === 'JSXElement' && node.expression.type === 'StringLiteral') note(node.expression.value);
        },
        JSXAttribute({ node }) {
          if (READ_ALOUD.has(String(node.name.name)) && node.value?.type === 'StringLiteral') note(node.value.value);
        },
      });
      expect(found).toEqual([]);
    });
  }
});

describe('dictionary', () => {
  const sources = readdirSync(VIEW, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !/\.test\.ts$|generated\.ts$/.test(file))
    .map((file) => readFileSync(new URL(file, VIEW), 'utf8'))
    .join('\n');
  // Looked up by a key that is not written out; the generator checks that these groups have no other keys.
  const keyed = ['error', 'event', 'room_attribute', 'slash', 'slash_argument', 'slash_missing'];

  test('every text is used', () => {
    const keys = Object.entries(DICTIONARIES.en).flatMap(([group, texts]) => Object.keys(texts).map((key) => [group, key] as const));
    const isUsed = (group: string, key: string) => new RegExp(`(?:\\bt\\(\\)|\\bwords|\\])\\.${group}\\.${key}\\b`).test(sources);
    const unused = keys.filter(([group, key]) => !keyed.includes(group) && !isUsed(group, key));
    expect(unused).toEqual([]);
  });

  test('event is a text with its fields and the name of the user', () => {
    const event = { type: 'renamed', room: 'r1', seq: 1, n: 0, by: { id: 'u1', name: 'Anna' }, at: '', old_name: 'Ann' } as const;
    expect(eventText(event, DICTIONARIES.en)).toBe('Ann is now called Anna');
    expect(eventText(event, DICTIONARIES.zh)).toBe('Ann改名为Anna');
  });

  test('form of a text depends on its parameters', () => {
    const { en, zh } = DICTIONARIES;
    expect([0, 1, 2].map((n) => en.users.show({ n }))).toEqual(['Who is here: 0 people', 'Who is here: 1 person', 'Who is here: 2 people']);
    expect(zh.users.show({ n: 1 })).toBe('看看谁在：1人');
  });
});

describe('locale', () => {
  test('first supported language is chosen unless one is stored', () => {
    expect(chooseLocale(null, ['fr-FR', 'zh-TW', 'en'])).toBe('zh');
    expect(chooseLocale(null, ['fr', 'en-GB'])).toBe('en');
    expect(chooseLocale(null, ['fr'])).toBe('en');
    expect(chooseLocale('zh', ['en'])).toBe('zh');
    expect(chooseLocale('klingon', ['zh-CN'])).toBe('zh');
  });
});

describe('formats', () => {
  const en = createFormat('en', ['en-GB']);
  const zh = createFormat('zh', ['zh-CN']);
  const nobody = { joined: [], left: [], visited: [], returned: [], renamed: [] };

  test('membership text lists few names and counts the rest', () => {
    const words = (locale: Locale, joined: string[], left: string[] = []) =>
      membershipText({ ...nobody, joined, left }, DICTIONARIES[locale], locale === 'en' ? en : zh);
    expect(words('en', ['Ann'])).toBe('Ann joined');
    expect(words('en', ['Ann', 'Bob', 'Cleo', 'Dora', 'Emil'])).toBe('Ann, Bob and 3 others joined');
    expect(words('en', ['Ann', 'Bob'])).toBe('Ann and Bob joined');
    expect(words('en', ['Ann', 'Bob', ...Array.from({ length: 98 }, () => 'Cleo')])).toBe('Ann, Bob and 98 others joined');
    expect(words('zh', ['Ann', '李雷'])).toBe('Ann和李雷进来了');
    expect(words('zh', ['Ann', 'Bob', ...Array.from({ length: 98 }, () => 'Cleo')])).toBe('Ann、Bob和另外98人进来了');
    expect(words('en', ['Ann', 'Bob'], ['Cleo'])).toBe('Ann and Bob joined · Cleo left');
    expect(words('zh', ['Ann', 'Bob', '李雷', '韩梅梅'])).toBe('Ann、Bob和另外2人进来了');
  });

  test('today and yesterday are named, other days are dates', () => {
    const now = new Date(2026, 10, 22, 0, 30).getTime();
    const yesterday = new Date(2026, 10, 21, 23, 59).getTime();
    expect([en.day(now, now), en.day(yesterday, now)]).toEqual(['Today', 'Yesterday']);
    expect([zh.day(now, now), zh.day(yesterday, now)]).toEqual(['今天', '昨天']);
    expect(en.day(new Date(2025, 0, 2).getTime(), now)).toContain('2025');
    expect(zh.day(new Date(2026, 0, 2).getTime(), now)).toContain('星期五');
  });

  test('time format follows the region', () => {
    const at = new Date(2026, 10, 22, 15, 4).getTime();
    expect(en.time(at)).toBe('15:04');
    expect(createFormat('en', ['zh-CN', 'en-US']).time(at)).toMatch(/^0?3:04\sPM$/);
    expect(createFormat('en', ['en-US']).shortTime(at)).toMatch(/^0?3:04$/);
    expect(zh.time(at)).toBe('15:04');
  });

  test('right-to-left name is isolated', () => {
    expect(isolated('Ann')).toBe('Ann');
    expect(isolated('محمد')).toBe('\u2068محمد\u2069');
  });
});
