import { backoff, reconnectPolicy } from './backoff';

/** After this long without a word the server is asked whether it is there. */
export const PING_INTERVAL = 25_000;
/** And this long it has to answer. */
export const PING_TIMEOUT = 10_000;
/** A connection that does not get as far as `welcome` by then is given up. */
export const CONNECT_TIMEOUT = 15_000;
/** Only a connection that held this long ends a row of failures: a server that greets and dies is not to be stormed. */
export const STABLE_AFTER = 10_000;

export type ConnectionPhase =
  | { kind: 'idle' }
  | { kind: 'connecting'; since: number }
  | { kind: 'ready'; since: number }
  | { kind: 'waiting'; until: number }
  | { kind: 'stopped'; code: number };

/** What the shell is to do. `check`: ask over HTTP whether the session is still good; an upgrade does not say why it failed. */
export type ConnectionEffect = 'connect' | 'ping' | 'close' | 'check_session';

/**
 * When to connect, when to wait, when to doubt the connection. A value: it is told the time and its luck, and says what to
 * do. A browser cannot see WebSocket pings, so a dead server is found out with the command `ping`.
 */
export class Connection {
  phase: ConnectionPhase = { kind: 'idle' };
  online = true;
  /** Failures in a row. */
  attempt = 0;
  #receivedAt = 0;
  #pingedAt: number | null = null;

  start(now: number): ConnectionEffect[] {
    return this.#connect(now);
  }

  /** `welcome` came. */
  onWelcome(now: number): void {
    this.phase = { kind: 'ready', since: now };
    this.onFrame(now);
  }

  /** Something came, whatever it was. */
  onFrame(now: number): void {
    this.#receivedAt = now;
    this.#pingedAt = null;
  }

  onClose(code: number, reason: string, now: number, random: number): ConnectionEffect[] {
    if (this.phase.kind === 'stopped' || this.phase.kind === 'idle') return [];
    const wasReady = this.phase.kind === 'ready';
    if (this.phase.kind === 'ready' && now - this.phase.since >= STABLE_AFTER) this.attempt = 0;
    this.#pingedAt = null;
    const verdict = reconnectPolicy(code, reason);
    if (verdict.when === 'never') {
      this.phase = { kind: 'stopped', code };
      return [];
    }
    const wait = verdict.when === 'within' ? Math.round(verdict.ms * random) : backoff(this.attempt, random);
    this.attempt += 1;
    this.phase = { kind: 'waiting', until: now + wait };
    return wasReady ? [] : ['check_session'];
  }

  /** The network came back, or the page became visible, or the person asked: do not wait, and do not trust. */
  wake(now: number): ConnectionEffect[] {
    if (this.phase.kind === 'waiting') return this.#connect(now);
    if (this.phase.kind === 'ready') return this.#ping(now);
    return [];
  }

  onOffline(now: number): ConnectionEffect[] {
    this.online = false;
    return this.phase.kind === 'ready' ? this.#ping(now) : [];
  }

  onOnline(now: number): ConnectionEffect[] {
    this.online = true;
    return this.wake(now);
  }

  stop(code = 0): void {
    this.phase = { kind: 'stopped', code };
  }

  /** Does what has become due. */
  tick(now: number): ConnectionEffect[] {
    const due = this.deadline();
    if (due === null || now < due) return [];
    switch (this.phase.kind) {
      case 'waiting':
        return this.#connect(now);
      case 'connecting':
        return ['close'];
      case 'ready':
        return this.#pingedAt === null ? this.#ping(now) : ['close'];
      default:
        return [];
    }
  }

  /** When `tick` has something to do next. */
  deadline(): number | null {
    switch (this.phase.kind) {
      case 'waiting':
        return this.phase.until;
      case 'connecting':
        return this.phase.since + CONNECT_TIMEOUT;
      case 'ready':
        return this.#pingedAt === null ? this.#receivedAt + PING_INTERVAL : this.#pingedAt + PING_TIMEOUT;
      default:
        return null;
    }
  }

  #connect(now: number): ConnectionEffect[] {
    this.phase = { kind: 'connecting', since: now };
    return ['connect'];
  }

  #ping(now: number): ConnectionEffect[] {
    if (this.#pingedAt !== null) return [];
    this.#pingedAt = now;
    return ['ping'];
  }
}
