import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Settings {
  /** Without caps and rates, for specs that say more at once than a person would. */
  limits?: boolean;
  /** A network namespace to run in, and the address to listen at. */
  network?: { namespace: string; address: string };
}

/**
 * Below the ports that systems lend to outgoing connections: one of those could be on loan to somebody while the server is
 * down, even to a browser that tries to reach it, which then meets itself. Above those that browsers refuse.
 */
const PORTS = { from: 20_000, to: 32_000 };

/** The real program with a data folder of its own. It comes back on the port that it had. */
export class Server {
  url = '';
  private port = 0;
  private running: ChildProcess | null = null;
  private ended: Promise<number | null> = Promise.resolve(null);
  private readonly printed: string[] = [];

  private constructor(
    private readonly program: string,
    private readonly folder: string,
    private readonly settings: Settings,
  ) {}

  static async open(settings: Settings = {}): Promise<Server> {
    const program = process.env.TEAHOUSE_BIN;
    if (!program) throw new Error('TEAHOUSE_BIN names no server; `cargo xtask test e2e` sets it');
    const server = new Server(program, await mkdtemp(join(tmpdir(), 'teahouse-e2e-')), settings);
    for (let tries = 1; ; tries++) {
      server.port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
      try {
        await server.start();
        return server;
      } catch (error) {
        if (tries === 20 || !String(error).includes('address in use')) throw error;
        server.printed.length = 0;
      }
    }
  }

  /** Resolves once it listens. */
  async start(): Promise<void> {
    const { network, limits = true } = this.settings;
    const listen = `${network?.address ?? '127.0.0.1'}:${this.port}`;
    const line = [this.program, '--listen', listen, '--data', join(this.folder, 'data')];
    if (network) line.unshift('ip', 'netns', 'exec', network.namespace);
    const child = spawn(line[0]!, line.slice(1), {
      cwd: this.folder,
      env: { PATH: process.env.PATH, TEAHOUSE_LIMITS_ENABLED: String(limits), TEAHOUSE_LOG_FORMAT: 'json' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.running = child;
    this.ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    // A test runner that is stopped takes its server along.
    const takeAlong = () => child.kill('SIGKILL');
    process.once('exit', takeAlong);
    void this.ended.then(() => process.off('exit', takeAlong));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.printed.push(text));
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (/open at http:\/\/\S+:\d+/.test(said)) resolve();
      });
      child.once('error', reject);
      // Not `exit`: what it wrote last may still be on its way.
      child.once('close', (code) => reject(new Error(`the server ended with ${code} before it was open:\n${this.log}`)));
    });
    this.url = this.at(network?.address ?? '127.0.0.1');
  }

  /** The server as seen at another of its addresses. */
  at(address: string): string {
    return `http://${address}:${this.port}`;
  }

  /** Ends it and answers its exit code; null: it was killed. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    this.running?.kill(signal);
    this.running = null;
    return this.ended;
  }

  /** From now on it does nothing, and its connections stay. */
  freeze(): void {
    const id = String(this.running!.pid);
    this.running!.kill('SIGSTOP');
    // A process stops when its threads come to it, which on a busy machine is later.
    while (!execFileSync('ps', ['-o', 'stat=', '-p', id], { encoding: 'utf8' }).startsWith('T'));
  }

  /** Another house at the same address: nothing of what was is there. */
  async emptyData(): Promise<void> {
    await rm(join(this.folder, 'data'), { recursive: true });
  }

  async close(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  get log(): string {
    return this.printed.join('');
  }

  /** What no server should ever have to write. */
  get faults(): string[] {
    return this.log.split('\n').filter((line) => line.includes('"level":"ERROR"') || line.includes('panicked'));
  }
}
