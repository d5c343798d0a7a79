import { decodeUser, errorCode } from '../protocol/decode';
import type { ErrorCode, User } from '../protocol/types';

/** `unauthorized`: no session, or an expired one. `unreachable`: no response, or an unreadable one. */
export type SessionResult = { user: User } | { unauthorized: true } | { unreachable: true } | { error: ErrorCode };

const ENDPOINT = '/api/v1/session';

export function getSession(): Promise<SessionResult> {
  return request({ method: 'GET' });
}

export function createSession(name: string): Promise<SessionResult> {
  return request({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name }) });
}

export async function deleteSession(): Promise<boolean> {
  try {
    const response = await fetch(ENDPOINT, { method: 'DELETE', signal: AbortSignal.timeout(10_000) });
    return response.ok || response.status === 401;
  } catch {
    return false;
  }
}

async function request(init: RequestInit): Promise<SessionResult> {
  try {
    const response = await fetch(ENDPOINT, { ...init, cache: 'no-store', signal: AbortSignal.timeout(15_000) });
    if (response.status === 401) return { unauthorized: true };
    const body: unknown = await response.json();
    if (typeof body !== 'object' || body === null) return { unreachable: true };
    if (response.ok && 'user' in body) {
      const user = decodeUser(body.user);
      return user ? { user } : { unreachable: true };
    }
    if ('code' in body && typeof body.code === 'string') return { error: errorCode(body.code) };
    return { unreachable: true };
  } catch {
    return { unreachable: true };
  }
}
