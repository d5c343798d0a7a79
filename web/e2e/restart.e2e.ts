import { expect } from 'vitest';
import { test } from './house/test';

test('open pages come back by themselves when the server was stopped and started', async ({ house }) => {
  const server = await house.open();
  const ann = await house.person('Ann');
  const li = await house.person('李雷', { locale: 'zh-CN' });
  house.expectLostConnections();
  await ann.say('before');
  await li.message('before').waitFor();

  expect(await server.end('SIGTERM')).toBe(0);
  for (const person of [ann, li]) await person.connection(/./).waitFor();
  await ann.say('meanwhile');
  await ann.message('meanwhile').filter({ hasText: ann.t.sending.waiting }).waitFor();
  await server.start();

  for (const person of [ann, li]) {
    await expect.poll(() => person.delivered()).toMatchObject([{ text: 'before' }, { text: 'meanwhile' }]);
    await person.connection(/./).waitFor({ state: 'detached' });
  }
  await li.say('后来');
  await ann.message('后来').waitFor();
  expect(await ann.shown()).toEqual(await ann.logged('lobby'));
});

test('a page that was offline sends what was written meanwhile, once', async ({ house }) => {
  const server = await house.open();
  const ann = await house.person('Ann');
  const bob = await house.person('Bob');
  house.expectLostConnections();

  // The browser's emulation keeps sockets that are open, so the line is cut at the other end as well.
  await ann.context.setOffline(true);
  await server.end('SIGKILL');
  await server.start();
  await ann.connection(ann.t.connection.offline).waitFor();
  await ann.say('from the tunnel');
  await ann.message('from the tunnel').filter({ hasText: ann.t.sending.waiting }).waitFor();
  await bob.connection(/./).waitFor({ state: 'detached' });
  await bob.say('Where is Ann?');
  await bob.message('Where is Ann?').and(bob.page.locator('[data-seq]')).waitFor();

  await ann.context.setOffline(false);
  for (const person of [ann, bob]) {
    await expect.poll(() => person.delivered()).toMatchObject([{ text: 'Where is Ann?' }, { text: 'from the tunnel' }]);
  }
  await ann.connection(/./).waitFor({ state: 'detached' });
  expect(await ann.shown()).toEqual(await ann.logged('lobby'));
});
