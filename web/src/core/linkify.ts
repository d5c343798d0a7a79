/** A segment of a message: plain text or a link. */
export type TextSegment = { text: string } | { text: string; href: string };

// A URL ends at white space, at characters that it cannot contain, and at full-width punctuation.
const URL_PATTERN = /https?:\/\/[^\s<>"'`「」『』【】《》〈〉（）“”‘’，。、；：？！\u3000]+/giu;

/** Splits a text into plain segments and http or https links. No other scheme becomes a link. */
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

/** Removes trailing punctuation and unbalanced closing brackets. */
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
    // Rejects `https://bank.example@evil.example`, which shows one host and opens another.
    return web && url.hostname !== '' && url.username === '' && url.password === '' ? url.href : null;
  } catch {
    return null;
  }
}

function count(text: string, mark: string): number {
  return text.split(mark).length - 1;
}

const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\u20e3]|\s)+$/u;

/** Whether a text is one to three emoji, which are shown large. */
export function isEmojiOnly(text: string): boolean {
  const trimmed = text.trim();
  if (trimmed.length === 0 || trimmed.length > 40 || !EMOJI_ONLY.test(trimmed)) return false;
  let shown = 0;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(trimmed)) {
    if (segment.trim() !== '') shown += 1;
  }
  return shown <= 3;
}
