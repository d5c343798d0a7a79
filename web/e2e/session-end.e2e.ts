import { expect } from 'vitest';
import { test } from './fixtures/test';

test('unknown session shows the login screen, and login works', async ({ env }) => {
  const server = await env.startServer();
  const ann = await env.login('Ann');
  env.allowConnectionErrors();
  await ann.send('before the reset');
  await ann.message('before the reset').and(ann.page.locator('[data-seq]')).waitFor();

  await server.stop('SIGKILL');
  await ann.connection(/./).waitFor();
  await ann.send('while offline');
  await server.deleteData();
  await server.start();

  await ann.page.getByText(ann.t.login.ended).waitFor();
  await expect.poll(() => ann.nameInput.inputValue()).toBe('Ann');
  await ann.login();
  await ann.send('after the reset');
  await expect.poll(() => ann.storedMessages('lobby')).toMatchObject([{ text: 'after the reset' }]);
  // Messages of the deleted data are not shown as delivered.
  await ann.message('after the reset').and(ann.page.locator('[data-seq]')).waitFor();
  expect((await ann.delivered()).map(({ text }) => text)).toEqual(['after the reset']);
});

test('reload without a session shows the login screen', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  await ann.context.clearCookies();
  await ann.page.reload();
  await ann.nameInput.waitFor();
  await ann.login();
});

test('logout ends the session and allows a new login', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const { page, t } = ann;
  await page.getByRole('button', { name: t.menu.title({ name: 'Ann' }) }).click();
  await page.getByRole('button', { name: t.menu.logout }).click();
  await page.getByRole('button', { name: t.menu.logout_yes, exact: true }).click();
  await ann.nameInput.waitFor();
  expect((await ann.context.request.get(new URL('/api/v1/session', page.url()).href)).status()).toBe(401);
  await ann.login();
  await ann.send('here again');
  await expect.poll(() => ann.storedMessages('lobby')).toMatchObject([{ text: 'here again' }]);
});
