import { backoff, comeBack } from './backoff';

/** After this long without a word the server is asked whether it is there. */
export const SILENCE = 25_000;
/** And this long it has to answer. */
export const PATIENCE = 10_000;
/** A connection that does not get as far as `welcome` by then is given up. */
export const OPENING = 15_000;
/** Only a connection that held this long ends a row of failures: a server that greets and dies is not to be stormed. */
export const STABLE = 10_000;

export type Phase =
  | { is: 'idle' }
  | { is: 'connecting'; since: number }
  | { is: 'ready'; since: number }
  | { is: 'waiting'; until: number }
  | { is: 'stopped'; code: number };

/** What the shell is to do. `check`: ask over HTTP whether the session is still good; an upgrade does not say why it failed. */
export type LinkEffect = 'connect' | 'ping' | 'drop' | 'check';

/**
 * When to connect, when to wait, when to doubt the connection. A value: it is told the time and its luck, and says what to
 * do. A browser cannot see WebSocket pings, so a dead server is found out with the command `ping`.
 */
export class Link {
  phase: Phase = { is: 'idle' };
  online = true;
  /** Failures in a row. */
  attempt = 0;
  private heardAt = 0;
  private pingedAt: number | null = null;

  start(now: number): LinkEffect[] {
    return this.connect(now);
  }

  /** `welcome` came. */
  welcomed(now: number): void {
    this.phase = { is: 'ready', since: now };
    this.heard(now);
  }

  /** Something came, whatever it was. */
  heard(now: number): void {
    this.heardAt = now;
    this.pingedAt = null;
  }

  closed(code: number, reason: string, now: number, random: number): LinkEffect[] {
    if (this.phase.is === 'stopped' || this.phase.is === 'idle') return [];
    const wasReady = this.phase.is === 'ready';
    if (this.phase.is === 'ready' && now - this.phase.since >= STABLE) this.attempt = 0;
    this.pingedAt = null;
    const verdict = comeBack(code, reason);
    if (verdict.when === 'never') {
      this.phase = { is: 'stopped', code };
      return [];
    }
    const wait = verdict.when === 'within' ? Math.round(verdict.ms * random) : backoff(this.attempt, random);
    this.attempt += 1;
    this.phase = { is: 'waiting', until: now + wait };
    return wasReady ? [] : ['check'];
  }

  /** The network came back, or the page became visible, or the person asked: do not wait, and do not trust. */
  nudge(now: number): LinkEffect[] {
    if (this.phase.is === 'waiting') return this.connect(now);
    if (this.phase.is === 'ready') return this.ask(now);
    return [];
  }

  wentOffline(now: number): LinkEffect[] {
    this.online = false;
    return this.phase.is === 'ready' ? this.ask(now) : [];
  }

  cameOnline(now: number): LinkEffect[] {
    this.online = true;
    return this.nudge(now);
  }

  stop(code = 0): void {
    this.phase = { is: 'stopped', code };
  }

  /** Does what has become due. */
  tick(now: number): LinkEffect[] {
    const due = this.deadline();
    if (due === null || now < due) return [];
    switch (this.phase.is) {
      case 'waiting':
        return this.connect(now);
      case 'connecting':
        return ['drop'];
      case 'ready':
        return this.pingedAt === null ? this.ask(now) : ['drop'];
      default:
        return [];
    }
  }

  /** When `tick` has something to do next. */
  deadline(): number | null {
    switch (this.phase.is) {
      case 'waiting':
        return this.phase.until;
      case 'connecting':
        return this.phase.since + OPENING;
      case 'ready':
        return this.pingedAt === null ? this.heardAt + SILENCE : this.pingedAt + PATIENCE;
      default:
        return null;
    }
  }

  private connect(now: number): LinkEffect[] {
    this.phase = { is: 'connecting', since: now };
    return ['connect'];
  }

  private ask(now: number): LinkEffect[] {
    if (this.pingedAt !== null) return [];
    this.pingedAt = now;
    return ['ping'];
  }
}
