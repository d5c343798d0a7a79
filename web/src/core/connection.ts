import { backoff, reconnectPolicy } from './backoff';

/** After this time without a frame, a `ping` is sent. */
export const PING_INTERVAL = 25_000;
/** The time limit for its reply. */
export const PING_TIMEOUT = 10_000;
/** The time limit from connecting to `welcome`. */
export const CONNECT_TIMEOUT = 15_000;
/** Only a connection that lasted this long resets the backoff: a server that crashes after `welcome` must not be flooded. */
export const STABLE_AFTER = 10_000;

export type ConnectionPhase =
  | { kind: 'idle' }
  | { kind: 'connecting'; since: number }
  | { kind: 'ready'; since: number }
  | { kind: 'waiting'; until: number }
  | { kind: 'stopped'; code: number };

/** An effect for the shell. `check_session`: query the session over HTTP, because a failed upgrade has no reason. */
export type ConnectionEffect = 'connect' | 'ping' | 'close' | 'check_session';

/**
 * The state machine of the connection: when to connect, delay, ping or close. Pure: time and randomness are arguments. Browsers
 * do not expose WebSocket pings, so a dead server is detected with the command `ping`.
 */
export class Connection {
  phase: ConnectionPhase = { kind: 'idle' };
  online = true;
  /** Consecutive failures. */
  attempt = 0;
  #receivedAt = 0;
  #pingedAt: number | null = null;

  start(now: number): ConnectionEffect[] {
    return this.#connect(now);
  }

  onWelcome(now: number): void {
    this.phase = { kind: 'ready', since: now };
    this.onFrame(now);
  }

  /** Any frame proves that the connection is alive. */
  onFrame(now: number): void {
    this.#receivedAt = now;
    this.#pingedAt = null;
  }

  onClose(code: number, reason: string, now: number, random: number): ConnectionEffect[] {
    if (this.phase.kind === 'stopped' || this.phase.kind === 'idle') return [];
    const wasReady = this.phase.kind === 'ready';
    if (this.phase.kind === 'ready' && now - this.phase.since >= STABLE_AFTER) this.attempt = 0;
    this.#pingedAt = null;
    const policy = reconnectPolicy(code, reason);
    if (policy.when === 'never') {
      this.phase = { kind: 'stopped', code };
      return [];
    }
    const delay = policy.when === 'within' ? Math.round(policy.ms * random) : backoff(this.attempt, random);
    this.attempt += 1;
    this.phase = { kind: 'waiting', until: now + delay };
    return wasReady ? [] : ['check_session'];
  }

  /** After a network change, on becoming visible, or on request: connects at once, or verifies the connection. */
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

  /** Returns the effects that are due. */
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

  /** When `tick` is due next. */
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
