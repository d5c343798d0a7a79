import { expect } from 'vitest';
import { test } from './fixtures/test';
import type { User } from './fixtures/user';

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

async function expectNoOverflow({ page }: User): Promise<void> {
  const { scrollWidth, clientWidth } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.scrollingElement!;
    return { scrollWidth, clientWidth };
  });
  expect(clientWidth).toBe(PHONE.viewport.width);
  expect(scrollWidth).toBeLessThanOrEqual(clientWidth);
}

/** Checks that an element is completely inside the viewport. */
async function expectVisibleInViewport({ page }: User, locator: ReturnType<User['composer']>): Promise<void> {
  const box = (await locator.boundingBox())!;
  const { width, height } = page.viewportSize()!;
  expect(box.x).toBeGreaterThanOrEqual(0);
  expect(box.y).toBeGreaterThanOrEqual(0);
  expect(box.x + box.width).toBeLessThanOrEqual(width);
  expect(box.y + box.height).toBeLessThanOrEqual(height);
}

for (const locale of ['en-US', 'zh-CN']) {
  test(`phone layout (${locale}) has no horizontal overflow`, async ({ env }) => {
    await env.startServer();
    const ann = await env.openPage('Ann', { ...PHONE, locale });
    await ann.nameInput.waitFor();
    await expectNoOverflow(ann);
    await ann.login();
    await expectVisibleInViewport(ann, ann.composer('lobby'));
    await expectVisibleInViewport(ann, ann.page.getByRole('button', { name: ann.t.composer.send }));
    await expectNoOverflow(ann);

    const long = await env.login('W'.repeat(32));
    await long.sendAll([
      'x'.repeat(400),
      `https://example.org/${'a-long-way-to-go/'.repeat(12)}`,
      '茶'.repeat(300),
      'a table\n\tof\ttabs\t'.repeat(8),
      '🫖'.repeat(80),
    ]);
    await expect.poll(() => ann.delivered()).toHaveLength(5);
    await expectNoOverflow(ann);
    // The message list does not scroll sideways either.
    expect(await ann.scroller.evaluate((scroller) => scroller.scrollWidth <= scroller.clientWidth)).toBe(true);
    await expectVisibleInViewport(ann, ann.composer('lobby'));
    await ann.send(`/join ${'r'.repeat(64)}`);
    await ann.composer('r'.repeat(64)).waitFor();
    await expectNoOverflow(ann);
    await expectVisibleInViewport(ann, ann.page.getByRole('button', { name: ann.t.users.show({ n: 1 }) }));
  });

  test(`phone layout (${locale}) shows rooms and users in drawers`, async ({ env }) => {
    await env.startServer();
    const ann = await env.login('Ann', { ...PHONE, locale });
    const { page, t } = ann;
    await env.login('Bob');
    // A closed drawer is hidden from touch and from screen readers.
    expect(await ann.rooms.count()).toBe(0);
    expect(await ann.users.count()).toBe(0);

    await page.getByRole('button', { name: t.rooms.show }).tap();
    await ann.roomLink('lobby').waitFor();
    await expectVisibleInViewport(ann, ann.roomLink('lobby'));
    await expectNoOverflow(ann);
    // The page behind an open drawer is inert.
    const takesFocus = (area: HTMLElement) => (area.focus(), document.activeElement === area);
    expect(await ann.composer('lobby').evaluate(takesFocus)).toBe(false);
    await ann.rooms.getByRole('textbox', { name: t.rooms.find }).fill('茶馆');
    await ann.rooms.getByRole('button', { name: t.rooms.open({ name: '茶馆' }) }).tap();
    await ann.composer('茶馆').waitFor();
    await expect.poll(() => ann.rooms.count()).toBe(0);

    await page.getByRole('button', { name: t.rooms.show }).tap();
    await ann.roomLink('lobby').tap();
    await ann.composer('lobby').waitFor();
    await expect.poll(() => ann.rooms.count()).toBe(0);

    await page.getByRole('button', { name: t.users.show({ n: 2 }) }).tap();
    await ann.users.getByText('Bob', { exact: true }).waitFor();
    await expectVisibleInViewport(ann, ann.users.getByText('Bob', { exact: true }));
    await expectNoOverflow(ann);
    await ann.users.getByRole('button', { name: t.rooms.close }).tap();
    await expect.poll(() => ann.users.count()).toBe(0);

    // A tap outside the drawer closes it.
    await page.getByRole('button', { name: t.rooms.show }).tap();
    await ann.roomLink('lobby').waitFor();
    await page.touchscreen.tap(350, 400);
    await expect.poll(() => ann.rooms.count()).toBe(0);
    await ann.composer('lobby').fill('still here');
    await page.getByRole('button', { name: t.composer.send }).tap();
    await expect.poll(() => ann.delivered()).toMatchObject([{ text: 'still here' }]);
  });
}
