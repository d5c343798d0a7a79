import { afterAll, beforeAll, expect } from 'vitest';
import { missingPrerequisite, Network } from './fixtures/network';
import { test } from './fixtures/test';

if (missingPrerequisite) console.warn(`Skipped, the network that falls silent: ${missingPrerequisite}.`);

let network: Network;
beforeAll(() => {
  network = new Network();
});
afterAll(() => network?.remove());

// The page pings after 25 s of silence and waits 10 s for the reply. These times are not configurable.
test.skipIf(missingPrerequisite)('silent network is detected, and nothing is lost or repeated', async ({ env }) => {
  const [annAt, bobAt] = network.addresses;
  const server = await env.startServer({ network: { namespace: network.namespace, address: '0.0.0.0' } });
  const ann = await env.login('Ann', { at: server.at(annAt) });
  const bob = await env.login('Bob', { at: server.at(bobAt) });
  env.allowConnectionErrors();
  await ann.send('Can you hear me?');
  await bob.message('Can you hear me?').waitFor();

  // First only the way back is cut: Ann's message is stored, but its acknowledgement is lost.
  network.dropOutgoing(annAt);
  await ann.send('Hello?');
  await bob.message('Hello?').waitFor();
  network.dropIncoming(annAt);
  await bob.send('Yes. And you?');
  await bob.message('Yes. And you?').and(bob.page.locator('[data-seq]')).waitFor();
  await ann.message('Hello?').filter({ hasText: ann.t.sending.sending }).waitFor();
  expect(await ann.connection(/./).count()).toBe(0);

  await ann.connection(/./).waitFor({ timeout: 120_000 });
  expect(await ann.texts()).toEqual(['Can you hear me?', 'Hello?']);
  await ann.message('Hello?').filter({ hasText: ann.t.sending.waiting }).waitFor();
  await ann.send('I am still here.');
  await bob.send('Ann has gone quiet.');
  await bob.message('Ann has gone quiet.').and(bob.page.locator('[data-seq]')).waitFor();

  network.restore();
  const all = ['Can you hear me?', 'Hello?', 'Yes. And you?', 'Ann has gone quiet.', 'I am still here.'];
  for (const user of [ann, bob]) {
    await expect.poll(async () => (await user.delivered()).map(({ text }) => text), { timeout: 120_000 }).toEqual(all);
    await user.connection(/./).waitFor({ state: 'detached', timeout: 120_000 });
  }
  expect(await ann.shown()).toEqual(await ann.storedMessages('lobby'));
  await ann.send('There you are.');
  await bob.message('There you are.').waitFor();
});
