import { expect } from 'vitest';
import type { Person, Shown } from './house/person';
import { test } from './house/test';

/** Together they fit on the list that follows the latest, so that all of it can be looked at. */
const EACH = 70;
/** So many of them are let through, at least, before the server is killed. */
const FIRST = 20;
/** And so many are said when it does not answer any more, so that it is killed in the middle, however fast it was. */
const LAST = 10;

const count = async (person: Person) => (await person.delivered()).length;

test('a server that is killed in the middle of a burst loses nothing, doubles nothing and mixes up nothing', async ({ house }) => {
  const server = await house.open({ limits: false });
  const ann = await house.person('Ann');
  const bob = await house.person('Bob');
  house.expectLostConnections();
  const lines = (who: Person) => Array.from({ length: EACH }, (_, i) => `${who.name} ${i + 1}`);

  await Promise.all([ann, bob].map((who) => who.sayAll(lines(who).slice(0, -LAST))));
  const arrived = (who: Person) => who.page.getByText(`${who.name} ${FIRST}`, { exact: true }).and(who.page.locator('[data-seq] *'));
  await Promise.all([ann, bob].map((who) => arrived(who).waitFor()));
  server.freeze();
  await Promise.all([ann, bob].map((who) => who.sayAll(lines(who).slice(-LAST))));
  expect(await server.end('SIGKILL')).toBe(null);

  const promised = new Map<Person, Shown[]>();
  for (const person of [ann, bob]) {
    await person.connection(/./).waitFor();
    promised.set(person, await person.delivered());
    // It was in the middle: something had come, and something was on its way.
    expect(promised.get(person)!.length).toBeGreaterThanOrEqual(FIRST);
    expect(promised.get(person)!.length).toBeLessThanOrEqual(2 * (EACH - LAST));
  }

  await server.start();
  for (const person of [ann, bob]) {
    await expect.poll(() => count(person), { timeout: 120_000 }).toBe(2 * EACH);
    await expect.poll(() => person.connection(/./).count()).toBe(0);
  }

  const log = await ann.logged('lobby');
  expect(await bob.logged('lobby')).toEqual(log);
  for (const person of [ann, bob]) {
    expect(await person.shown()).toEqual(log);
    expect(log.filter(({ who }) => who === person.name).map(({ text }) => text)).toEqual(lines(person));
    // What had been shown as delivered stands where it stood.
    const before = promised.get(person)!;
    expect(log.filter(({ seq }) => before.some((shown) => shown.seq === seq))).toEqual(before);
  }

  // And a page that comes anew sees the same.
  await bob.page.reload();
  await bob.message(log.at(-1)!.text).waitFor();
  const afresh = await bob.delivered();
  expect(afresh).toEqual(log.slice(-afresh.length));
});

test('what a server died over without an answer is sent again, and stands there once', async ({ house }) => {
  const server = await house.open();
  const ann = await house.person('Ann');
  const bob = await house.person('Bob');
  house.expectLostConnections();
  server.freeze();
  await ann.say('Did you get this?');
  await ann.message('Did you get this?').filter({ hasText: ann.t.sending.sending }).waitFor();
  await ann.say('And this?');

  await server.end('SIGKILL');
  await server.start();
  for (const person of [ann, bob]) {
    await expect.poll(() => person.delivered()).toMatchObject([{ text: 'Did you get this?' }, { text: 'And this?' }]);
  }
  expect(await ann.shown()).toEqual(await ann.logged('lobby'));
});

test('a page that is closed with messages on their way sends them when it is opened again', async ({ house }) => {
  const server = await house.open({ limits: false });
  const ann = await house.person('Ann');
  const bob = await house.person('Bob');
  house.expectLostConnections();
  await ann.say('before');
  await bob.message('before').waitFor();

  await server.end('SIGKILL');
  await ann.connection(/./).waitFor();
  await ann.sayAll(['written while', 'nobody', 'was there']);
  await ann.message('was there').waitFor();
  await ann.page.close();
  await server.start();

  const back = await ann.context.newPage();
  await back.goto(server.url);
  await bob.message('was there').waitFor();
  expect(await bob.texts()).toEqual(['before', 'written while', 'nobody', 'was there']);
  expect(await bob.logged('lobby')).toEqual(await bob.delivered());
});

test('what one tab cannot send, another tab of the same person sends, once and in its order', async ({ house }) => {
  await house.open();
  const bob = await house.person('Bob');
  let heard = true;
  const ann = await house.person('Ann', {
    prepare: (page) =>
      page.routeWebSocket(/\/ws$/, (here) => {
        const there = here.connectToServer();
        here.onMessage((frame) => {
          if (heard) there.send(frame);
        });
      }),
  });
  await ann.say('before');
  await bob.message('before').waitFor();

  heard = false;
  await ann.sayAll(['one', 'two', 'three']);
  await ann.message('one').filter({ hasText: ann.t.sending.sending }).waitFor();
  await ann.message('three').filter({ hasText: ann.t.sending.waiting }).waitFor();
  const other = await ann.context.newPage();
  await other.goto(ann.page.url());
  const all = ['before', 'one', 'two', 'three'];
  for (const person of [bob, ann]) {
    await expect.poll(async () => (await person.delivered()).map(({ text }) => text)).toEqual(all);
    expect(await person.texts()).toEqual(all);
  }

  // And nothing is left to be sent once more.
  await other.reload();
  await other.getByText('three', { exact: true }).waitFor();
  await bob.say('after');
  await ann.message('after').waitFor();
  expect((await ann.logged('lobby')).map(({ text }) => text)).toEqual([...all, 'after']);
});
