import { describe, expect, test } from 'vitest';
import { isEmojiOnly, linkify } from './linkify';

describe('linkify', () => {
  const links = (text: string) => linkify(text).flatMap((piece) => ('href' in piece ? [piece.text] : []));

  test('http and https URLs become links without punctuation', () => {
    expect(links('see https://example.org/a?b=c#d.')).toEqual(['https://example.org/a?b=c#d']);
    expect(links('(https://en.wikipedia.org/wiki/Tea_(plant))')).toEqual(['https://en.wikipedia.org/wiki/Tea_(plant)']);
    expect(links('看这里：https://example.org/茶，很好。再看http://b.example！')).toEqual(['https://example.org/茶', 'http://b.example']);
    expect(links('<https://example.org> "https://b.example"')).toEqual(['https://example.org', 'https://b.example']);
  });

  test('other schemes and malformed URLs stay text', () => {
    for (const text of ['javascript:alert(1)', 'data:text/html,x', 'ftp://a.example', 'example.org', 'https://', 'https://bank.example@evil.example/', 'http://[bad']) {
      expect(links(text), text).toEqual([]);
    }
  });

  test('segments joined give the original text', () => {
    for (const text of ['', 'a', 'a https://x.example, b\nhttps://y.example/). c', '<script>alert("x")</script>']) {
      expect(linkify(text).map((piece) => piece.text).join('')).toBe(text);
    }
  });

  test('long run of closing brackets takes linear time', () => {
    const long = `https://x.example/${')'.repeat(8000)}`;
    expect(linkify(long).map((piece) => piece.text).join('')).toBe(long);
  });
});

test('one to three emoji without text are shown large', () => {
  for (const text of ['🍵', '🍵🍵', ' 👩‍🚀 ', '👍🏽', '🇨🇳', '❤️']) expect(isEmojiOnly(text), text).toBe(true);
  for (const text of ['', ' ', '🍵🍵🍵🍵', 'a🍵', '茶', '1', '#']) expect(isEmojiOnly(text), text).toBe(false);
});
