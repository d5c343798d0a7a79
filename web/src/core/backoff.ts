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
  if (code === 1001) {
    const within = /^retry_within_ms=(\d{1,9})$/.exec(reason);
    if (within) return { when: 'within', ms: Number(within[1]) };
  }
  const never = code === 1002 || code === 1003 || code === 1007 || code === 1009 || (code >= 4100 && code < 4200);
  return never ? { when: 'never' } : { when: 'backoff' };
}
