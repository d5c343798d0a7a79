import type { Quiet } from '../core/quiet';
import type { Dictionary } from '../i18n';
import type { Format } from '../i18n/format';

/** Up to this many are named; of more, one fewer, and the others are counted. */
const NAMED = 3;

/** "Ann, Bob and 3 others joined · Cleo left" */
export function quietText(quiet: Quiet, words: Dictionary, format: Format): string {
  const who = (names: string[]) =>
    format.list(names.length <= NAMED ? names : [...names.slice(0, NAMED - 1), words.quiet.others(names.length - NAMED + 1)]);
  const parts: string[] = [];
  if (quiet.joined.length > 0) parts.push(words.quiet.joined(who(quiet.joined)));
  if (quiet.returned.length > 0) parts.push(words.quiet.returned(who(quiet.returned)));
  if (quiet.visited.length > 0) parts.push(words.quiet.visited(who(quiet.visited)));
  if (quiet.left.length > 0) parts.push(words.quiet.left(who(quiet.left)));
  for (const { was, name } of quiet.renamed.slice(0, NAMED)) parts.push(words.quiet.renamed(was, name));
  return words.quiet.join(parts);
}
