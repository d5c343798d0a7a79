import { afterAll, beforeAll, expect } from 'vitest';
import { cannotBeSilent, Network } from './house/silence';
import { test } from './house/test';

if (cannotBeSilent) console.warn(`Skipped, the network that falls silent: ${cannotBeSilent}.`);

let network: Network;
beforeAll(() => {
  network = new Network();
});
afterAll(() => network?.remove());

// The page asks after 25 s of silence and waits 10 s for an answer; it cannot be hurried, because nobody should.
test.skipIf(cannotBeSilent)('a page notices that the network fell silent, comes back, and nothing is missing or doubled', async ({ house }) => {
  const [annAt, bobAt] = network.addresses;
  const server = await house.open({ network: { namespace: network.namespace, address: '0.0.0.0' } });
  const ann = await house.person('Ann', { at: server.at(annAt) });
  const bob = await house.person('Bob', { at: server.at(bobAt) });
  house.expectLostConnections();
  await ann.say('Can you hear me?');
  await bob.message('Can you hear me?').waitFor();

  // First the way back is cut: what Ann says arrives, and is stored, and she does not hear of it.
  network.dropAnswers(annAt);
  await ann.say('Hello?');
  await bob.message('Hello?').waitFor();
  network.dropQuestions(annAt);
  await bob.say('Yes. And you?');
  await bob.message('Yes. And you?').and(bob.page.locator('[data-seq]')).waitFor();
  await ann.message('Hello?').filter({ hasText: ann.t.sending.sending }).waitFor();
  expect(await ann.connection(/./).count()).toBe(0);

  await ann.connection(/./).waitFor({ timeout: 120_000 });
  expect(await ann.texts()).toEqual(['Can you hear me?', 'Hello?']);
  await ann.message('Hello?').filter({ hasText: ann.t.sending.waiting }).waitFor();
  await ann.say('I am still here.');
  await bob.say('Ann has gone quiet.');
  await bob.message('Ann has gone quiet.').and(bob.page.locator('[data-seq]')).waitFor();

  network.mend();
  const all = ['Can you hear me?', 'Hello?', 'Yes. And you?', 'Ann has gone quiet.', 'I am still here.'];
  for (const person of [ann, bob]) {
    await expect.poll(async () => (await person.delivered()).map(({ text }) => text), { timeout: 120_000 }).toEqual(all);
    await person.connection(/./).waitFor({ state: 'detached', timeout: 120_000 });
  }
  expect(await ann.shown()).toEqual(await ann.logged('lobby'));
  await ann.say('There you are.');
  await bob.message('There you are.').waitFor();
});
