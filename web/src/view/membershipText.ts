import type { MembershipSummary } from '../core/membership-summary';
import type { Dictionary } from '../i18n';
import type { Format } from '../i18n/format';

/** Up to this many names are listed; of more, one fewer, and the rest as a count. */
const MAX_NAMES = 3;

/** For example "Ann, Bob and 3 others joined · Cleo left". */
export function membershipText(summary: MembershipSummary, words: Dictionary, format: Format): string {
  const list = (names: string[]) =>
    format.list(names.length <= MAX_NAMES ? names : [...names.slice(0, MAX_NAMES - 1), words.users.others({ n: names.length - MAX_NAMES + 1 })]);
  const parts: string[] = [];
  if (summary.joined.length > 0) parts.push(words.event.member_joined({ name: list(summary.joined) }));
  if (summary.returned.length > 0) parts.push(words.membership.returned({ who: list(summary.returned) }));
  if (summary.visited.length > 0) parts.push(words.membership.visited({ who: list(summary.visited) }));
  if (summary.left.length > 0) parts.push(words.event.member_left({ name: list(summary.left) }));
  for (const { oldName, name } of summary.renamed.slice(0, MAX_NAMES)) parts.push(words.event.renamed({ old_name: oldName, name }));
  return parts.join(words.membership.separator);
}
