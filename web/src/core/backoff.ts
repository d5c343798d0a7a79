import { NEVER_RECONNECT, RECONNECT } from '../protocol/generated';

/** Exponential backoff with full jitter, so that ten thousand pages do not reconnect at once. */
export const INITIAL_DELAY = 500;
export const MAX_DELAY = 30_000;

/** The delay before the `attempt`th retry (0 is the first). `random` is in [0, 1). */
export function backoff(attempt: number, random: number): number {
  const ceiling = Math.min(MAX_DELAY, INITIAL_DELAY * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling * random);
}

/** The delay before a request is retried: at least half of the backoff, and at least what the server demands. */
export function retryDelay(attempt: number, random: number, retryAfter = 0): number {
  return Math.max(retryAfter, backoff(attempt, 0.5 + random / 2));
}

/** What a close code means for reconnecting. */
export type ReconnectPolicy = { when: 'never' } | { when: 'backoff' } | { when: 'within'; ms: number };

export function reconnectPolicy(code: number, reason: string): ReconnectPolicy {
  const when = RECONNECT[code] ?? (needsUserAction(code) ? 'never' : 'backoff');
  if (when !== 'within') return { when };
  const within = /^retry_within_ms=(\d{1,9})$/.exec(reason);
  return within ? { when, ms: Number(within[1]) } : { when: 'backoff' };
}

/** Whether the application closed the connection for good: the session has ended, or a reason that a later server has. */
export function needsUserAction(code: number): boolean {
  return code >= NEVER_RECONNECT.first && code <= NEVER_RECONNECT.last;
}
