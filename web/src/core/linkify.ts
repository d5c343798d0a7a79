/** A piece of a message: words, or an address to go to. */
export type TextSegment = { text: string } | { text: string; href: string };

// An address ends at white space, at what cannot stand in one, and at the full-width marks of Chinese prose around it.
const URL_PATTERN = /https?:\/\/[^\s<>"'`「」『』【】《》〈〉（）“”‘’，。、；：？！\u3000]+/giu;

/** Finds http and https addresses. Nothing else becomes a link, whatever it looks like. */
export function linkify(text: string): TextSegment[] {
  const found: TextSegment[] = [];
  let at = 0;
  for (const match of text.matchAll(URL_PATTERN)) {
    const shown = trimTrailing(match[0]);
    const href = parseUrl(shown);
    if (!href) continue;
    if (match.index > at) found.push({ text: text.slice(at, match.index) });
    found.push({ text: shown, href });
    at = match.index + shown.length;
  }
  if (at < text.length) found.push({ text: text.slice(at) });
  return found;
}

/** Leaves the sentence its own full stop, and the brackets their other half. */
function trimTrailing(text: string): string {
  let shown = text;
  for (;;) {
    const last = shown.at(-1)!;
    if (/[.,;:!?*_~]/.test(last)) shown = shown.slice(0, -1);
    else if (last === ')' && count(shown, ')') > count(shown, '(')) shown = shown.slice(0, -1);
    else if (last === ']' && count(shown, ']') > count(shown, '[')) shown = shown.slice(0, -1);
    else if (last === '}' && count(shown, '}') > count(shown, '{')) shown = shown.slice(0, -1);
    else return shown;
  }
}

function parseUrl(text: string): string | null {
  try {
    const url = new URL(text);
    const web = url.protocol === 'http:' || url.protocol === 'https:';
    // `https://bank.example@evil.example` shows one host and leads to another.
    return web && url.hostname !== '' && url.username === '' && url.password === '' ? url.href : null;
  } catch {
    return null;
  }
}

function count(text: string, mark: string): number {
  return text.split(mark).length - 1;
}

const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\u20e3]|\s)+$/u;

/** Up to three emoji and nothing else are shown large. */
export function isEmojiOnly(text: string): boolean {
  const trimmed = text.trim();
  if (trimmed.length === 0 || trimmed.length > 40 || !EMOJI_ONLY.test(trimmed)) return false;
  let shown = 0;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(trimmed)) {
    if (segment.trim() !== '') shown += 1;
  }
  return shown <= 3;
}
