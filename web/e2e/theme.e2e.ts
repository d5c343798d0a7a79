import { expect } from 'vitest';
import { test } from './fixtures/test';
import type { User } from './fixtures/user';

const theme = ({ page }: User) => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);

test('theme follows the system unless one is chosen', async ({ env }) => {
  await env.startServer();
  const ann = await env.openPage('Ann', { colorScheme: 'dark' });
  const { page, t } = ann;
  await ann.nameInput.waitFor();
  expect(await theme(ann)).toBe('dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await expect.poll(() => theme(ann)).toBe('light');

  await page.getByRole('group', { name: t.menu.theme }).getByRole('radio', { name: t.menu.dark }).check();
  await expect.poll(() => theme(ann)).toBe('dark');
  await page.reload();
  await ann.nameInput.waitFor();
  expect(await theme(ann)).toBe('dark');
});
