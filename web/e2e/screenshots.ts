import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { type Guest, LATE, type Line, NOW, ROOMS } from './house/evening';
import { closeBrowser, House } from './house/house';
import type { Person } from './house/person';

const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];
const SCHEMES = ['light', 'dark'] as const;
/** Who looks, in which language, at which room; and what is unread for them in which other. */
const VIEWS = [
  { lang: 'en', locale: 'en-US', who: 'Ann', room: 'lobby', elsewhere: '茶馆', unread: 2 },
  { lang: 'zh', locale: 'zh-CN', who: '李雷', room: '茶馆', elsewhere: 'lobby', unread: 1 },
] as const;

const LINES = [...ROOMS.flatMap(([, lines]) => lines), ...LATE.map(([, line]) => line)];
const MOMENTS = new Map(LINES.map(([, at, text]) => [text, new Date(at).toISOString()]));

/**
 * An evening's talk is played within seconds, so the pictures would show one minute over and over. On its way to the page each
 * event gets the moment of its line; everything else is as the server says it.
 */
async function asItWas(page: Page): Promise<void> {
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

/** Plays the evening to its end, with everybody still there. */
async function play(house: House): Promise<Map<Guest, Person>> {
  const guests = new Map<Guest, Person>();
  for (const name of ['Ann', '李雷', '韩梅梅', 'Tomás'] as const) {
    const guest = await house.person(name);
    guests.set(name, guest);
    for (const [room] of ROOMS) await guest.goTo(room);
  }
  const say = async (room: string, [who, , text]: Line) => {
    const speaker = guests.get(who)!;
    await speaker.goTo(room);
    await speaker.say(text, room);
    await speaker.page.locator('[data-seq]').filter({ hasText: text.split('\n')[0]! }).waitFor();
  };
  for (const [room, lines] of ROOMS) {
    for (const guest of guests.values()) await guest.goTo(room);
    for (const line of lines) await say(room, line);
  }
  for (const view of VIEWS) await guests.get(view.who)!.goTo(view.room);
  for (const [room, line] of LATE) await say(room, line);
  return guests;
}

/** A guest's own visit in another browser: other size, other colours. */
async function visit(house: House, guest: Person, view: (typeof VIEWS)[number], look: object): Promise<Person> {
  const visitor = await house.visitor(view.who, {
    ...look,
    locale: view.locale,
    storageState: await guest.context.storageState(),
    prepare: asItWas,
  });
  await visitor.page.goto(`${visitor.page.url().split('#')[0]}#${encodeURIComponent(view.room)}`);
  await visitor.composer(view.room).waitFor();
  return visitor;
}

/** What a guest's own page has seen, the server is told within seconds; from then on all their pages count alike. */
async function untilCountedAlike(house: House, guest: Person, view: (typeof VIEWS)[number]): Promise<void> {
  const visitor = await visit(house, guest, view, {});
  const badge = visitor.roomLink(view.elsewhere).getByText(visitor.t.rooms.unread(view.unread), { exact: true });
  for (let tries = 1; !(await badge.isVisible()); tries++) {
    if (tries > 50) throw new Error(`${view.who} never had ${view.unread} unread in ${view.elsewhere}`);
    await visitor.page.reload();
    await visitor.roomLink(view.elsewhere).waitFor();
  }
  await visitor.context.close();
}

export async function run(folder: string | undefined): Promise<void> {
  if (!folder) throw new Error('name a folder: npm run screenshots -- FOLDER');
  await mkdir(folder, { recursive: true });
  const house = new House();
  try {
    await house.open({ limits: false });
    const guests = await play(house);
    for (const view of VIEWS) {
      const guest = guests.get(view.who)!;
      const lastLine = LATE.findLast(([room]) => room === view.room)![1][2];
      await untilCountedAlike(house, guest, view);
      for (const colorScheme of SCHEMES) {
        for (const viewport of SIZES) {
          const narrow = viewport.width < 700;
          const look = { colorScheme, viewport, deviceScaleFactor: 2, ...(narrow && { isMobile: true, hasTouch: true }) };
          const path = (what: string) => join(folder, `${what}-${view.lang}-${colorScheme}-${viewport.width}x${viewport.height}.png`);

          const stranger = await house.visitor('', { ...look, locale: view.locale });
          await stranger.nameBox.waitFor();
          await stranger.page.screenshot({ path: path('door') });
          await stranger.context.close();

          const visitor = await visit(house, guest, view, look);
          const { page, t } = visitor;
          await visitor.message(lastLine).waitFor();
          // The others are told every few seconds.
          const typist = guests.get('韩梅梅')!;
          await typist.goTo(view.room);
          await typist.composer(view.room).fill('');
          while (!(await page.getByText(t.typing.one('韩梅梅')).isVisible())) await typist.composer(view.room).press('x');
          await page.screenshot({ path: path('room') });
          if (narrow) {
            await page.getByRole('button', { name: t.rooms.show }).tap();
            await visitor.roomLink(view.room).waitFor();
            await page.screenshot({ path: path('rooms') });
            await visitor.rooms.getByRole('button', { name: t.rooms.close }).tap();
            await page.getByRole('button', { name: t.people.show(4) }).tap();
            await visitor.people.getByText('Tomás', { exact: true }).waitFor();
            await page.screenshot({ path: path('people') });
          } else {
            await page.getByRole('button', { name: t.menu.title(view.who) }).click();
            await page.getByRole('dialog').waitFor();
            await page.screenshot({ path: path('settings') });
          }
          await visitor.context.close();
        }
      }
    }
    if (house.troubles.length > 0) throw new Error(house.troubles.join('\n'));
  } finally {
    await house.close();
    await closeBrowser();
  }
}
