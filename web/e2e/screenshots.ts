import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { type Guest, LATE, type Line, NOW, ROOMS } from './fixtures/demo';
import { closeBrowser, TestEnv } from './fixtures/env';
import type { User } from './fixtures/user';

const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];
const SCHEMES = ['light', 'dark'] as const;
/** Who takes a screenshot of which room in which language, and which other room has unread messages. */
const VIEWS = [
  { lang: 'en', locale: 'en-US', who: 'Ann', room: 'lobby', elsewhere: '茶馆', unread: 2 },
  { lang: 'zh', locale: 'zh-CN', who: '李雷', room: '茶馆', elsewhere: 'lobby', unread: 1 },
] as const;

const LINES = [...ROOMS.flatMap(([, lines]) => lines), ...LATE.map(([, line]) => line)];
const MOMENTS = new Map(LINES.map(([, at, text]) => [text, new Date(at).toISOString()]));

/**
 * The demo is played within seconds, so all messages would have the same time. This rewrites the time of each event on its way
 * to the page.
 */
async function replayTimes(page: Page): Promise<void> {
  await page.clock.setFixedTime(NOW);
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    let moment = new Date(ROOMS[0]![1][0]![1]).toISOString();
    const rewrite = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(rewrite);
      if (typeof value !== 'object' || value === null) return value;
      const frame = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rewrite(inner)]));
      if ('at' in frame) frame.at = moment = MOMENTS.get(String(frame.body)) ?? moment;
      return frame;
    };
    server.onMessage((text) => socket.send(JSON.stringify(rewrite(JSON.parse(String(text))))));
  });
}

/** Plays the demo; all users stay online. */
async function seedDemo(env: TestEnv): Promise<Map<Guest, User>> {
  const guests = new Map<Guest, User>();
  for (const name of ['Ann', '李雷', '韩梅梅', 'Tomás'] as const) {
    const guest = await env.login(name);
    guests.set(name, guest);
    for (const [room] of ROOMS) await guest.openRoom(room);
  }
  const say = async (room: string, [who, , text]: Line) => {
    const speaker = guests.get(who)!;
    await speaker.openRoom(room);
    await speaker.send(text, room);
    await speaker.page.locator('[data-seq]').filter({ hasText: text.split('\n')[0]! }).waitFor();
  };
  for (const [room, lines] of ROOMS) {
    for (const guest of guests.values()) await guest.openRoom(room);
    for (const line of lines) await say(room, line);
  }
  for (const view of VIEWS) await guests.get(view.who)!.openRoom(view.room);
  for (const [room, line] of LATE) await say(room, line);
  return guests;
}

/** Opens another browser context with the session of a user, in another size or theme. */
async function openAs(env: TestEnv, guest: User, view: (typeof VIEWS)[number], options: object): Promise<User> {
  const user = await env.openPage(view.who, {
    ...options,
    locale: view.locale,
    storageState: await guest.context.storageState(),
    prepare: replayTimes,
  });
  await user.page.goto(`${user.page.url().split('#')[0]}#${encodeURIComponent(view.room)}`);
  await user.composer(view.room).waitFor();
  return user;
}

/** Waits until the read positions of a user reached the server, so that every page shows the same unread count. */
async function waitForUnread(env: TestEnv, guest: User, view: (typeof VIEWS)[number]): Promise<void> {
  const user = await openAs(env, guest, view, {});
  const badge = user.roomLink(view.elsewhere).getByText(user.t.rooms.unread({ n: view.unread }), { exact: true });
  for (let tries = 1; !(await badge.isVisible()); tries++) {
    if (tries > 50) throw new Error(`${view.who} never had ${view.unread} unread in ${view.elsewhere}`);
    await user.page.reload();
    await user.roomLink(view.elsewhere).waitFor();
  }
  await user.context.close();
}

export async function run(folder: string | undefined): Promise<void> {
  if (!folder) throw new Error('name a folder: npm run screenshots -- FOLDER');
  await mkdir(folder, { recursive: true });
  const env = new TestEnv();
  try {
    await env.startServer({ limits: false });
    const guests = await seedDemo(env);
    for (const view of VIEWS) {
      const guest = guests.get(view.who)!;
      const lastLine = LATE.findLast(([room]) => room === view.room)![1][2];
      await waitForUnread(env, guest, view);
      for (const colorScheme of SCHEMES) {
        for (const viewport of SIZES) {
          const narrow = viewport.width < 700;
          const options = { colorScheme, viewport, deviceScaleFactor: 2, ...(narrow && { isMobile: true, hasTouch: true }) };
          const path = (what: string) => join(folder, `${what}-${view.lang}-${colorScheme}-${viewport.width}x${viewport.height}.png`);

          const guestPage = await env.openPage('', { ...options, locale: view.locale });
          await guestPage.nameInput.waitFor();
          await guestPage.page.screenshot({ path: path('login') });
          await guestPage.context.close();

          const user = await openAs(env, guest, view, options);
          const { page, t } = user;
          await user.message(lastLine).waitFor();
          // `typing` is sent every few seconds only.
          const typist = guests.get('韩梅梅')!;
          await typist.openRoom(view.room);
          await typist.composer(view.room).fill('');
          while (!(await page.getByText(t.typing.one({ name: '韩梅梅' })).isVisible())) await typist.composer(view.room).press('x');
          await page.screenshot({ path: path('room') });
          if (narrow) {
            await page.getByRole('button', { name: t.rooms.show }).tap();
            await user.roomLink(view.room).waitFor();
            await page.screenshot({ path: path('rooms') });
            await user.rooms.getByRole('button', { name: t.rooms.close }).tap();
            await page.getByRole('button', { name: t.users.show({ n: 4 }) }).tap();
            await user.users.getByText('Tomás', { exact: true }).waitFor();
            await page.screenshot({ path: path('users') });
          } else {
            await page.getByRole('button', { name: t.menu.title({ name: view.who }) }).click();
            await page.getByRole('dialog').waitFor();
            await page.screenshot({ path: path('settings') });
          }
          await user.context.close();
        }
      }
    }
    if (env.problems.length > 0) throw new Error(env.problems.join('\n'));
  } finally {
    await env.close();
    await closeBrowser();
  }
}
