import { expect } from 'vitest';
import { test } from './fixtures/test';
import type { ShownMessage, User } from './fixtures/user';

/** Few enough that all messages fit in the window that follows the latest. */
const MESSAGES_PER_USER = 70;
/** At least this many arrive before the server is killed. */
const MIN_DELIVERED = 20;
/** This many are sent to the frozen server, so that some are always in flight. */
const SENT_WHILE_FROZEN = 10;

const count = async (user: User) => (await user.delivered()).length;

test('killed server loses, repeats and reorders nothing', async ({ env }) => {
  const server = await env.startServer({ limits: false });
  const ann = await env.login('Ann');
  const bob = await env.login('Bob');
  env.allowConnectionErrors();
  const lines = (who: User) => Array.from({ length: MESSAGES_PER_USER }, (_, i) => `${who.name} ${i + 1}`);

  await Promise.all([ann, bob].map((who) => who.sendAll(lines(who).slice(0, -SENT_WHILE_FROZEN))));
  const arrived = (who: User) => who.page.getByText(`${who.name} ${MIN_DELIVERED}`, { exact: true }).and(who.page.locator('[data-seq] *'));
  await Promise.all([ann, bob].map((who) => arrived(who).waitFor()));
  server.freeze();
  await Promise.all([ann, bob].map((who) => who.sendAll(lines(who).slice(-SENT_WHILE_FROZEN))));
  expect(await server.stop('SIGKILL')).toBe(null);

  const promised = new Map<User, ShownMessage[]>();
  for (const user of [ann, bob]) {
    await user.connection(/./).waitFor();
    promised.set(user, await user.delivered());
    // Some messages had arrived, and some were in flight.
    expect(promised.get(user)!.length).toBeGreaterThanOrEqual(MIN_DELIVERED);
    expect(promised.get(user)!.length).toBeLessThanOrEqual(2 * (MESSAGES_PER_USER - SENT_WHILE_FROZEN));
  }

  await server.start();
  for (const user of [ann, bob]) {
    await expect.poll(() => count(user), { timeout: 120_000 }).toBe(2 * MESSAGES_PER_USER);
    await expect.poll(() => user.connection(/./).count()).toBe(0);
  }

  const log = await ann.storedMessages('lobby');
  expect(await bob.storedMessages('lobby')).toEqual(log);
  for (const user of [ann, bob]) {
    expect(await user.shown()).toEqual(log);
    expect(log.filter(({ who }) => who === user.name).map(({ text }) => text)).toEqual(lines(user));
    // Messages shown as delivered keep their positions.
    const before = promised.get(user)!;
    expect(log.filter(({ seq }) => before.some((shown) => shown.seq === seq))).toEqual(before);
  }

  // A reloaded page shows the same.
  await bob.page.reload();
  await bob.message(log.at(-1)!.text).waitFor();
  const afresh = await bob.delivered();
  expect(afresh).toEqual(log.slice(-afresh.length));
});

test('unanswered message is sent again and stored once', async ({ env }) => {
  const server = await env.startServer();
  const ann = await env.login('Ann');
  const bob = await env.login('Bob');
  env.allowConnectionErrors();
  server.freeze();
  await ann.send('Did you get this?');
  await ann.message('Did you get this?').filter({ hasText: ann.t.sending.sending }).waitFor();
  await ann.send('And this?');

  await server.stop('SIGKILL');
  await server.start();
  for (const user of [ann, bob]) {
    await expect.poll(() => user.delivered()).toMatchObject([{ text: 'Did you get this?' }, { text: 'And this?' }]);
  }
  expect(await ann.shown()).toEqual(await ann.storedMessages('lobby'));
});

test('closed page sends its unsent messages when reopened', async ({ env }) => {
  const server = await env.startServer({ limits: false });
  const ann = await env.login('Ann');
  const bob = await env.login('Bob');
  env.allowConnectionErrors();
  await ann.send('before');
  await bob.message('before').waitFor();

  await server.stop('SIGKILL');
  await ann.connection(/./).waitFor();
  await ann.sendAll(['written while', 'nobody', 'was there']);
  await ann.message('was there').waitFor();
  await ann.page.close();
  await server.start();

  const back = await ann.context.newPage();
  await back.goto(server.url);
  await bob.message('was there').waitFor();
  expect(await bob.texts()).toEqual(['before', 'written while', 'nobody', 'was there']);
  expect(await bob.storedMessages('lobby')).toEqual(await bob.delivered());
});

test('unsent messages of one tab are sent by another in order', async ({ env }) => {
  await env.startServer();
  const bob = await env.login('Bob');
  let heard = true;
  const ann = await env.login('Ann', {
    prepare: (page) =>
      page.routeWebSocket(/\/ws$/, (here) => {
        const there = here.connectToServer();
        here.onMessage((frame) => {
          if (heard) there.send(frame);
        });
      }),
  });
  await ann.send('before');
  await bob.message('before').waitFor();

  heard = false;
  await ann.sendAll(['one', 'two', 'three']);
  await ann.message('one').filter({ hasText: ann.t.sending.sending }).waitFor();
  await ann.message('three').filter({ hasText: ann.t.sending.waiting }).waitFor();
  const other = await ann.context.newPage();
  await other.goto(ann.page.url());
  const all = ['before', 'one', 'two', 'three'];
  for (const user of [bob, ann]) {
    await expect.poll(async () => (await user.delivered()).map(({ text }) => text)).toEqual(all);
    expect(await user.texts()).toEqual(all);
  }

  // Nothing is left to be sent again.
  await other.reload();
  await other.getByText('three', { exact: true }).waitFor();
  await bob.send('after');
  await ann.message('after').waitFor();
  expect((await ann.storedMessages('lobby')).map(({ text }) => text)).toEqual([...all, 'after']);
});
