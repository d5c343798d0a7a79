import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type ConsoleMessage, type Page } from 'playwright-core';
import { afterAll, test as base } from 'vitest';
import { DICTIONARIES, type Locale } from '../../src/i18n';
import { Person } from './person';
import { Server, type Settings } from './server';

/** How long a page may take to become what it should be. Far more than it takes; a machine may be busy. */
export const PATIENCE = 20_000;

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

let browser: Promise<Browser> | null = null;
function theBrowser(): Promise<Browser> {
  return (browser ??= chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS }));
}
afterAll(async () => (await browser)?.close());

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
  async visitor(name: string, options: BrowserContextOptions & { at?: string } = {}): Promise<Person> {
    const { at = this.servers[0]!.url, locale = 'en-US', ...rest } = options;
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
    const page = await context.newPage();
    this.watch(name, page);
    const person = new Person(name, context, page, DICTIONARIES[languageOf(locale)]);
    this.people.push(person);
    await page.goto(at);
    return person;
  }

  /** Somebody comes in: a browser, a name, the lobby. */
  async person(name: string, options?: BrowserContextOptions & { at?: string }): Promise<Person> {
    return (await this.visitor(name, options)).comeIn();
  }

  /** From here on the browser may complain that a connection failed; to everything else it may not. */
  expectLostConnections(): void {
    this.connectionsMayBreak = true;
  }

  private watch(name: string, page: Page): void {
    page.on('pageerror', (error) => this.note(name, 'error', error.stack ?? error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !this.isExpected(message)) this.note(name, 'console', message.text());
    });
    page.on('dialog', (dialog) => {
      this.note(name, 'dialog', dialog.message());
      void dialog.dismiss();
    });
    page.on('crash', () => this.note(name, 'crash', page.url()));
  }

  private isExpected(message: ConsoleMessage): boolean {
    const text = message.text();
    // Whoever is not in yet asks who they are, and hears "nobody".
    if (text.includes('status of 401') && message.location().url.endsWith('/api/v1/session')) return true;
    // A page that came by plain http from another machine cannot have this protection, and Chromium calls that an error.
    if (text.startsWith('The Cross-Origin-Opener-Policy header has been ignored')) return true;
    return this.connectionsMayBreak && /^WebSocket connection to|^Failed to load resource: net::ERR_/.test(text);
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

export const test = base.extend<{ house: House }>({
  house: async ({ task }, use) => {
    const house = new House();
    await use(house);
    const { troubles } = house;
    if (task.result?.state === 'fail' || troubles.length > 0) await house.leaveBehind(task.name);
    await house.close();
    if (troubles.length > 0) throw new Error(troubles.join('\n'));
  },
});

export function languageOf(locale: string): Locale {
  return locale.startsWith('zh') ? 'zh' : 'en';
}
