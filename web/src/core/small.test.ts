import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hueOf, initialsOf } from './avatar';
import { enterSends } from './composing';
import { isEmojiOnly, pieces } from './links';
import { RoomLog } from './room-log';
import { bound, capacity, earlier, FOLLOW, FOLLOWED, HELD, hold, indices, later, type Stretch } from './stretch';
import { message } from './testing';
import { uuid7 } from './uuid';

describe('links', () => {
  const links = (text: string) => pieces(text).flatMap((piece) => ('href' in piece ? [piece.text] : []));

  test('are http and https addresses, whole, without the sentence around them', () => {
    expect(links('see https://example.org/a?b=c#d.')).toEqual(['https://example.org/a?b=c#d']);
    expect(links('(https://en.wikipedia.org/wiki/Tea_(plant))')).toEqual(['https://en.wikipedia.org/wiki/Tea_(plant)']);
    expect(links('看这里：https://example.org/茶，很好。再看http://b.example！')).toEqual(['https://example.org/茶', 'http://b.example']);
    expect(links('<https://example.org> "https://b.example"')).toEqual(['https://example.org', 'https://b.example']);
  });

  test('are nothing else, whatever it looks like', () => {
    for (const text of ['javascript:alert(1)', 'data:text/html,x', 'ftp://a.example', 'example.org', 'https://', 'https://bank.example@evil.example/', 'http://[bad']) {
      expect(links(text), text).toEqual([]);
    }
  });

  test('lose nothing of the text', () => {
    for (const text of ['', 'a', 'a https://x.example, b\nhttps://y.example/). c', '<script>alert("x")</script>']) {
      expect(pieces(text).map((piece) => piece.text).join('')).toBe(text);
    }
  });

  test('take no time that a hostile message could choose', () => {
    const long = `https://x.example/${')'.repeat(8000)}`;
    expect(pieces(long).map((piece) => piece.text).join('')).toBe(long);
  });
});

test('up to three emoji and nothing else are shown large', () => {
  for (const text of ['🍵', '🍵🍵', ' 👩‍🚀 ', '👍🏽', '🇨🇳', '❤️']) expect(isEmojiOnly(text), text).toBe(true);
  for (const text of ['', ' ', '🍵🍵🍵🍵', 'a🍵', '茶', '1', '#']) expect(isEmojiOnly(text), text).toBe(false);
});

describe('Enter', () => {
  const press = { key: 'Enter', keyCode: 13, isComposing: false, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };

  test('sends, and with Shift makes a line', () => {
    expect(enterSends(press, false)).toBe(true);
    expect(enterSends({ ...press, shiftKey: true }, false)).toBe(false);
    expect(enterSends({ ...press, key: 'a' }, false)).toBe(false);
  });

  test('never sends while an input method composes', () => {
    expect(enterSends({ ...press, isComposing: true }, false)).toBe(false);
    expect(enterSends({ ...press, keyCode: 229 }, false)).toBe(false);
    expect(enterSends({ ...press, isComposing: true, keyCode: 229, ctrlKey: true }, false)).toBe(false);
  });

  test('does not send right after Safari ended the composition', () => {
    expect(enterSends(press, true)).toBe(false);
  });
});

describe('avatars', () => {
  /** From the OKLCH of the style sheet to relative luminance (WCAG 2.2), by way of OKLab and linear sRGB. */
  function luminance(lightness: number, chroma: number, hue: number): number {
    const a = chroma * Math.cos((hue * Math.PI) / 180);
    const b = chroma * Math.sin((hue * Math.PI) / 180);
    const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
    const clip = (x: number) => Math.min(1, Math.max(0, x));
    return (
      0.2126 * clip(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s) +
      0.7152 * clip(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s) +
      0.0722 * clip(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)
    );
  }
  const contrast = (x: number, y: number) => (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  const grey = (hex: string) =>
    [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
      const c = parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16) / 255;
      return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    }, 0);
  const css = readFileSync(new URL('../styles/base.css', import.meta.url), 'utf8');
  const block = (selector: string) => {
    const body = css.slice(css.indexOf(`${selector} {`) + selector.length + 2);
    return Object.fromEntries(Array.from(body.slice(0, body.indexOf('}')).matchAll(/--([\w-]+):\s*([^;]+);/g), ([, key, value]) => [key!, value!]));
  };
  const themes = [
    { name: 'light', ...block(':root') },
    { name: 'dark', ...block(":root[data-theme='dark']") },
  ].map((values: Record<string, string>) => ({
    name: values.name!,
    avatar: [Number(values['avatar-lightness']), Number(values['avatar-chroma'])] as const,
    author: [Number(values['author-lightness']), Number(values['author-chroma'])] as const,
    // The author's name stands on the paper, and on its shade under the pointer.
    paper: [values.paper!, values.hover!],
    ink: [values.ink!, values['ink-soft']!, values['ink-faint']!, values.tea!, values.clay!],
    papers: [values.paper!, values['paper-deep']!, values['paper-high']!, values.hover!],
    pairs: [[values['on-tea']!, values.tea!], [values.amber!, values['amber-soft']!], [values.clay!, values['clay-soft']!], [values['tea-deep']!, values['tea-soft']!]] as const,
  }));

  test('the dark theme is the same, chosen or the system’s', () => {
    expect(block(":root:not([data-theme='light'])")).toEqual(block(":root[data-theme='dark']"));
  });

  for (const theme of themes) {
    test(`can be read whatever the hue, in the ${theme.name} theme`, () => {
      for (let hue = 0; hue < 360; hue++) {
        expect(contrast(1, luminance(theme.avatar[0], theme.avatar[1], hue)), `avatar ${hue}`).toBeGreaterThanOrEqual(4.5);
        for (const paper of theme.paper) {
          expect(contrast(grey(paper), luminance(theme.author[0], theme.author[1], hue)), `author ${hue}`).toBeGreaterThanOrEqual(4.5);
        }
      }
    });
  }

  for (const { name, ink, papers, pairs } of themes) {
    test(`so can every text in the ${name} theme`, () => {
      for (const paper of papers) for (const text of ink) expect(contrast(grey(text), grey(paper)), `${text} on ${paper}`).toBeGreaterThanOrEqual(4.5);
      for (const [text, paper] of pairs) expect(contrast(grey(text), grey(paper)), `${text} on ${paper}`).toBeGreaterThanOrEqual(4.5);
    });
  }

  test('have a hue of the id, and neighbours differ', () => {
    expect(hueOf('u7')).toBe(hueOf('u7'));
    const hues = Array.from({ length: 40 }, (_, i) => hueOf(`u${i}`));
    expect(new Set(hues).size).toBeGreaterThan(30);
    // Five who came one after the other can be told apart at a glance.
    const apart = (a: number, b: number) => Math.min(Math.abs(a - b), 360 - Math.abs(a - b));
    for (let i = 0; i + 4 < hues.length; i++)
      for (let j = i + 1; j <= i + 4; j++) expect(apart(hues[i]!, hues[j]!), `u${i} and u${j}`).toBeGreaterThan(30);
    for (const hue of hues) expect(hue).toBeGreaterThanOrEqual(0);
  });

  test('show initials, or the last two of a Chinese name', () => {
    const names = { 李雷: '李雷', 韩梅梅: '梅梅', 欧阳娜娜: '娜娜', ann: 'A', 'Han Meimei': 'HM', 'Mary Ann Smith': 'MS', '👩‍🚀': '👩‍🚀', 'Mei 林': 'M', さくら: 'くら', '': '?', user_7: 'U', 'Pu-erh 53': 'PE' };
    for (const [name, initials] of Object.entries(names)) expect(initialsOf(name), name).toBe(initials);
  });
});

test('a UUIDv7 holds the time, the version and the variant, and sorts by time', () => {
  const zeros = new Uint8Array(10);
  const ones = new Uint8Array(10).fill(255);
  expect(uuid7(0x0192f3a07b1e, zeros)).toBe('0192f3a0-7b1e-7000-8000-000000000000');
  expect(uuid7(0x0192f3a07b1e, ones)).toBe('0192f3a0-7b1e-7fff-bfff-ffffffffffff');
  expect(uuid7(1, ones) < uuid7(2, zeros)).toBe(true);
});

describe('the stretch on the screen', () => {
  const log = new RoomLog(0);
  for (let seq = 1; seq <= 1000; seq++) log.apply(message(seq));
  const size = (stretch: Stretch) => indices(log, stretch).to - indices(log, stretch).from;

  test('follows the latest', () => {
    expect(indices(log, FOLLOW)).toEqual({ from: 1000 - FOLLOWED, to: 1000 });
  });

  test('goes to the beginning and back without losing or holding too much', () => {
    let stretch = hold(log, FOLLOW);
    const seen = new Set<number>();
    const look = () => {
      const { from, to } = indices(log, stretch);
      for (let i = from; i < to; i++) seen.add(log.events[i]!.seq);
      expect(size(stretch)).toBeLessThanOrEqual(HELD);
    };
    for (let next: Stretch | null = stretch; next; next = earlier(log, stretch)) {
      stretch = next;
      look();
    }
    expect(seen.size).toBe(1000);
    expect(indices(log, stretch).from).toBe(0);
    for (let next: Stretch | null = stretch; next; next = later(log, stretch)) {
      stretch = next;
      look();
    }
    expect(stretch.last).toBeNull();
  });

  test('stays where it is while more comes, and ends somewhere', () => {
    const held = hold(log, FOLLOW);
    expect(held.first).toBe(841);
    const bounded = bound(log, { first: 1, last: null });
    expect(bounded).toEqual({ first: 1, last: HELD });
  });

  test('holds more where many events are few rows', () => {
    expect(capacity(log, { first: 1, last: 400 }, 300)).toBe(HELD);
    expect(capacity(log, { first: 1, last: 400 }, 5)).toBe(500);
  });
});
