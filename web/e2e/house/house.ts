import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type ConsoleMessage, type Page } from 'playwright-core';
import { DICTIONARIES, type Locale } from '../../src/i18n';
import { Person } from './person';
import { Server, type Settings } from './server';

/** How long a page may take to become what it should be. Far more than it takes; a machine may be busy. */
export const PATIENCE = 60_000;

/** Of a failed spec: what each page looked like, what it complained of, and what the server wrote. */
const LEFT_BEHIND = 'test-results';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface VisitorOptions extends BrowserContextOptions {
  /** The address to open, if it is not the server's own. */
  at?: string;
  /** What is to be done with the page before it opens. */
  prepare?: (page: Page) => Promise<void>;
}

let browser: Promise<Browser> | null = null;
function theBrowser(): Promise<Browser> {
  return (browser ??= chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS }));
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
}

/** A server, and people who visit it. Watches every page: an error, a dialog or a breach of the policy fails the spec. */
export class House {
  private readonly servers: Server[] = [];
  private readonly people: Person[] = [];
  private readonly noted: string[] = [];
  private connectionsMayBreak = false;

  async open(settings?: Settings): Promise<Server> {
    const server = await Server.open(settings);
    this.servers.push(server);
    return server;
  }

  /** Somebody opens a browser of their own before the house's door. */
  async visitor(name: string, options: VisitorOptions = {}): Promise<Person> {
    const { at = this.servers[0]!.url, locale = 'en-US', prepare = async () => {}, ...rest } = options;
    const context = await (await theBrowser()).newContext({
      locale,
      timezoneId: 'Asia/Shanghai',
      viewport: { width: 1280, height: 800 },
      reducedMotion: 'reduce',
      ...rest,
    });
    context.setDefaultTimeout(PATIENCE);
    await context.exposeBinding('reportBreach', (_, breach: string) => this.note(name, 'breach of the policy', breach));
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => {
        const { reportBreach } = window as unknown as { reportBreach(breach: string): void };
        reportBreach(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    this.watch(name, context);
    const page = await context.newPage();
    await prepare(page);
    const person = new Person(name, context, page, DICTIONARIES[languageOf(locale)]);
    this.people.push(person);
    await page.goto(at);
    return person;
  }

  /** Somebody comes in: a browser, a name, the lobby. */
  async person(name: string, options?: VisitorOptions): Promise<Person> {
    return (await this.visitor(name, options)).comeIn();
  }

  /** From here on the browser may complain that a connection failed; to everything else it may not. */
  expectLostConnections(): void {
    this.connectionsMayBreak = true;
  }

  private watch(name: string, context: BrowserContext): void {
    context.on('weberror', (event) => this.note(name, 'error', event.error().stack ?? event.error().message));
    context.on('console', (message) => {
      if (message.type() === 'error' && !this.isExpected(message)) this.note(name, 'console', message.text());
    });
    context.on('dialog', (dialog) => {
      this.note(name, 'dialog', dialog.message());
      void dialog.dismiss();
    });
  }

  private isExpected(message: ConsoleMessage): boolean {
    const text = message.text();
    // Whoever is not in yet asks who they are, and hears "nobody".
    if (text.includes('status of 401') && message.location().url.endsWith('/api/v1/session')) return true;
    // A page that came by plain http from another machine cannot have this protection, and Chromium calls that an error.
    if (text.startsWith('The Cross-Origin-Opener-Policy header has been ignored')) return true;
    // A server that stops refuses, and one that is gone says nothing.
    return this.connectionsMayBreak && /^WebSocket connection to|^Failed to load resource: (net::ERR_|.*status of 503)/.test(text);
  }

  private note(name: string, what: string, text: string): void {
    this.noted.push(`${name}: ${what}: ${text}`);
  }

  /** What went wrong beside what the spec looked at. */
  get troubles(): string[] {
    return [...this.noted, ...this.servers.flatMap((server) => server.faults)];
  }

  async leaveBehind(spec: string): Promise<void> {
    await mkdir(LEFT_BEHIND, { recursive: true });
    const path = (what: string) => join(LEFT_BEHIND, `${spec.replaceAll(/[^\p{L}\p{N}]+/gu, '-')}.${what}`);
    for (const { name, page } of this.people) await page.screenshot({ path: path(`${name}.png`) }).catch(() => {});
    await writeFile(path('log'), [...this.noted, ...this.servers.map((server) => server.log)].join('\n'));
  }

  async close(): Promise<void> {
    for (const { context } of this.people) await context.close();
    for (const server of this.servers) await server.close();
  }
}

function languageOf(locale: string): Locale {
  return locale.startsWith('zh') ? 'zh' : 'en';
}
