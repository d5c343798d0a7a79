import { expect } from 'vitest';
import { test } from './fixtures/test';

test('open pages reconnect after a server restart', async ({ env }) => {
  const server = await env.startServer();
  const ann = await env.login('Ann');
  const li = await env.login('李雷', { locale: 'zh-CN' });
  env.allowConnectionErrors();
  await ann.send('before');
  await li.message('before').waitFor();

  expect(await server.stop('SIGTERM')).toBe(0);
  for (const user of [ann, li]) await user.connection(/./).waitFor();
  await ann.send('meanwhile');
  await ann.message('meanwhile').filter({ hasText: ann.t.sending.waiting }).waitFor();
  await server.start();

  for (const user of [ann, li]) {
    await expect.poll(() => user.delivered()).toMatchObject([{ text: 'before' }, { text: 'meanwhile' }]);
    await user.connection(/./).waitFor({ state: 'detached' });
  }
  await li.send('后来');
  await ann.message('后来').waitFor();
  expect(await ann.shown()).toEqual(await ann.storedMessages('lobby'));
});

test('message written offline is sent once after reconnecting', async ({ env }) => {
  const server = await env.startServer();
  const ann = await env.login('Ann');
  const bob = await env.login('Bob');
  env.allowConnectionErrors();

  // The browser's offline emulation keeps open sockets, so the server is stopped as well.
  await ann.context.setOffline(true);
  await server.stop('SIGKILL');
  await server.start();
  await ann.connection(ann.t.connection.offline).waitFor();
  await ann.send('from the tunnel');
  await ann.message('from the tunnel').filter({ hasText: ann.t.sending.waiting }).waitFor();
  await bob.connection(/./).waitFor({ state: 'detached' });
  await bob.send('Where is Ann?');
  await bob.message('Where is Ann?').and(bob.page.locator('[data-seq]')).waitFor();

  await ann.context.setOffline(false);
  for (const user of [ann, bob]) {
    await expect.poll(() => user.delivered()).toMatchObject([{ text: 'Where is Ann?' }, { text: 'from the tunnel' }]);
  }
  await ann.connection(/./).waitFor({ state: 'detached' });
  expect(await ann.shown()).toEqual(await ann.storedMessages('lobby'));
});
