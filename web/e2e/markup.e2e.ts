import { expect } from 'vitest';
import { test } from './house/test';

const NASTY = [
  '<script>alert(1)</script>',
  '<img src=x onerror="alert(2)">',
  '"><svg onload=alert(3)>',
  '<a href="javascript:alert(4)">tea</a>',
  'javascript:alert(5)',
  '&lt;b&gt; &amp; {{constructor.constructor("alert(6)")()}}',
  '<style>*{display:none}</style>',
];

// That no dialog came up, no error and no breach of the policy, is watched in every spec.
test('markup shows as the text that it is', async ({ house }) => {
  await house.open();
  const ann = await house.person('<b>Ann</b>');
  const bob = await house.person('<i onclick=1>');
  await ann.sayAll(NASTY);
  for (const person of [ann, bob]) {
    await expect.poll(async () => (await person.delivered()).map(({ text }) => text)).toEqual(NASTY);
    expect((await person.delivered()).every(({ who }) => who === '<b>Ann</b>')).toBe(true);
    for (const inside of ['script', 'img', 'svg:not([aria-hidden])', 'style', 'a']) {
      expect(await person.messages.locator(inside).count(), inside).toBe(0);
    }
    await person.people.getByText('<i onclick=1>', { exact: true }).waitFor();
  }
  await bob.page.reload();
  await expect.poll(() => bob.texts()).toEqual(NASTY);
});

test('a link opens elsewhere and tells nobody where it came from', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  await ann.say('see https://example.org/tea?a=1&b=2.');
  const link = ann.messages.getByRole('link');
  expect(await link.getAttribute('href')).toBe('https://example.org/tea?a=1&b=2');
  expect(await link.getAttribute('target')).toBe('_blank');
  expect(await link.getAttribute('rel')).toMatch(/noopener.*noreferrer/);
});
