import { expect } from 'vitest';
import { test } from './house/test';

test('whoever the server does not know any more is asked for a name again, and comes in', async ({ house }) => {
  const server = await house.open();
  const ann = await house.person('Ann');
  house.expectLostConnections();
  await ann.say('the old house');
  await ann.message('the old house').and(ann.page.locator('[data-seq]')).waitFor();

  await server.end('SIGKILL');
  await ann.connection(/./).waitFor();
  await ann.say('to nobody');
  await server.emptyData();
  await server.start();

  await ann.page.getByText(ann.t.welcome.ended).waitFor();
  await expect.poll(() => ann.nameBox.inputValue()).toBe('Ann');
  await ann.comeIn();
  await ann.say('the new house');
  await expect.poll(() => ann.logged('lobby')).toMatchObject([{ text: 'the new house' }]);
  // Of the house that is gone nothing is shown as said in this one.
  await ann.message('the new house').and(ann.page.locator('[data-seq]')).waitFor();
  expect((await ann.delivered()).map(({ text }) => text)).toEqual(['the new house']);
});

test('a reload without a session stands at the door', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  await ann.context.clearCookies();
  await ann.page.reload();
  await ann.nameBox.waitFor();
  await ann.comeIn();
});

test('leaving the teahouse ends the session, and one can come in anew', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  const { page, t } = ann;
  await page.getByRole('button', { name: t.menu.title('Ann') }).click();
  await page.getByRole('button', { name: t.menu.quit }).click();
  await page.getByRole('button', { name: t.menu.quitYes, exact: true }).click();
  await ann.nameBox.waitFor();
  expect((await ann.context.request.get(new URL('/api/v1/session', page.url()).href)).status()).toBe(401);
  await ann.comeIn();
  await ann.say('here again');
  await expect.poll(() => ann.logged('lobby')).toMatchObject([{ text: 'here again' }]);
});
