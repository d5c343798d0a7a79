import { expect } from 'vitest';
import { test } from './fixtures/test';

const HOSTILE_TEXTS = [
  '<script>alert(1)</script>',
  '<img src=x onerror="alert(2)">',
  '"><svg onload=alert(3)>',
  '<a href="javascript:alert(4)">tea</a>',
  'javascript:alert(5)',
  '&lt;b&gt; &amp; {{constructor.constructor("alert(6)")()}}',
  '<style>*{display:none}</style>',
];

// Every test fails on dialogs, page errors and policy violations; see fixtures/env.ts.
test('markup is shown as text', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('<b>Ann</b>');
  const bob = await env.login('<i onclick=1>');
  await ann.sendAll(HOSTILE_TEXTS);
  for (const user of [ann, bob]) {
    await expect.poll(async () => (await user.delivered()).map(({ text }) => text)).toEqual(HOSTILE_TEXTS);
    expect((await user.delivered()).every(({ who }) => who === '<b>Ann</b>')).toBe(true);
    for (const inside of ['script', 'img', 'svg:not([aria-hidden])', 'style', 'a']) {
      expect(await user.messages.locator(inside).count(), inside).toBe(0);
    }
    await user.users.getByText('<i onclick=1>', { exact: true }).waitFor();
  }
  await bob.page.reload();
  await expect.poll(() => bob.texts()).toEqual(HOSTILE_TEXTS);
});

test('link opens in a new tab without referrer', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  await ann.send('see https://example.org/tea?a=1&b=2.');
  const link = ann.messages.getByRole('link');
  expect(await link.getAttribute('href')).toBe('https://example.org/tea?a=1&b=2');
  expect(await link.getAttribute('target')).toBe('_blank');
  expect(await link.getAttribute('rel')).toMatch(/noopener.*noreferrer/);
});
