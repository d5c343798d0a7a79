/** The hue of a user's color. It depends on the id: users with the same name differ, and renaming changes nothing. */
export function hueOf(id: string): number {
  // The golden angle separates consecutive ids. The loss of precision above 2^53 does not matter.
  return Math.round((Number(id.slice(1)) % 9973) * 137.508) % 360;
}

/** One or two characters for a name: initials, or the last two of a Chinese, Japanese or Korean name. */
export function initialsOf(name: string): string {
  const parts = graphemes(name.trim());
  if (parts.length === 0) return '?';
  if (/^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}·]+$/u.test(name)) return parts.slice(-2).join('');
  const words = name.trim().split(/[\s_.-]+/u).filter((word) => word !== '');
  const first = graphemes(words[0] ?? name)[0] ?? '?';
  const last = words.slice(1).findLast((word) => /^\p{L}/u.test(word));
  const second = last === undefined ? '' : graphemes(last)[0]!;
  const letters = /^[\p{L}\p{N}]/u;
  if (!letters.test(first) || !letters.test(second) || /\p{Script=Han}/u.test(first + second)) return first.toUpperCase();
  return (first + second).toUpperCase();
}

function graphemes(text: string): string[] {
  return Array.from(new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text), ({ segment }) => segment);
}
