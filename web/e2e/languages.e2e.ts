import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { DICTIONARIES, type Locale } from '../src/i18n';
import { test } from './fixtures/test';
import type { User } from './fixtures/user';

/** The constant texts that occur in this language only. */
function textsOf(locale: Locale): Set<string> {
  const texts = (value: unknown): string[] => {
    if (typeof value === 'string') return [value];
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
  };
  const other = new Set(texts(DICTIONARIES[locale === 'en' ? 'zh' : 'en']));
  const words = DICTIONARIES[locale];
  // The language switch is in both languages.
  return new Set(texts(words).filter((text) => text !== words.app.language && !other.has(text)));
}

/** Every text on the page, including accessible names, placeholders and titles. */
function piecesOf(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const pieces = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) pieces.push(walker.currentNode.textContent!.trim());
    for (const element of document.querySelectorAll('*')) {
      for (const name of ['aria-label', 'placeholder', 'title', 'alt']) pieces.push(element.getAttribute(name) ?? '');
    }
    return pieces.filter((piece) => piece !== '');
  });
}

async function expectOnlyLocale(locale: Locale, page: Page): Promise<void> {
  const foreign = textsOf(locale === 'en' ? 'zh' : 'en');
  const pieces = await piecesOf(page);
  expect(pieces.filter((piece) => foreign.has(piece))).toEqual([]);
  expect(pieces.some((piece) => textsOf(locale).has(piece))).toBe(true);
  expect(await page.evaluate(() => document.documentElement.lang)).toBe(locale === 'en' ? 'en' : 'zh-CN');
}

/** Checks the texts of the main views. */
async function checkVisibleTexts(user: User, locale: Locale): Promise<void> {
  const { page } = user;
  const t = DICTIONARIES[locale];
  await expectOnlyLocale(locale, page);
  await page.getByRole('textbox', { name: t.composer.label({ room: '#lobby' }) }).fill('/');
  await page.getByRole('list', { name: t.composer.commands }).waitFor();
  await expectOnlyLocale(locale, page);
  await page.getByRole('textbox', { name: t.composer.label({ room: '#lobby' }) }).fill('');
  await page.getByRole('button', { name: t.menu.title({ name: user.name }) }).click();
  await page.getByRole('dialog', { name: t.menu.title({ name: user.name }) }).waitFor();
  await expectOnlyLocale(locale, page);
  await page.getByRole('button', { name: t.menu.help }).click();
  await page.getByRole('dialog', { name: t.menu.help }).waitFor();
  await expectOnlyLocale(locale, page);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
}

for (const [tag, locale] of [['zh-CN', 'zh'], ['zh-TW', 'zh'], ['en-US', 'en'], ['fr-FR', 'en']] as const) {
  test(`browser with ${tag} gets the page in ${DICTIONARIES[locale].app.language}`, async ({ env }) => {
    await env.startServer();
    const user = await env.openPage('Kim', { locale: tag });
    await user.page.getByRole('heading', { name: DICTIONARIES[locale].app.name }).waitFor();
    await expectOnlyLocale(locale, user.page);
  });
}

test('language switch changes every text and is remembered', async ({ env }) => {
  await env.startServer();
  const user = await env.openPage('Kim', { locale: 'en-US' });
  const { page } = user;
  const { en, zh } = DICTIONARIES;
  await page.getByRole('group', { name: en.menu.language }).getByRole('radio', { name: zh.app.language }).check();
  await page.getByRole('textbox', { name: zh.login.name }).waitFor();
  await expectOnlyLocale('zh', page);

  await page.reload();
  await page.getByRole('textbox', { name: zh.login.name }).fill('Kim');
  await page.getByRole('button', { name: zh.login.enter }).click();
  await page.getByRole('textbox', { name: zh.composer.label({ room: '#lobby' }) }).waitFor();
  await checkVisibleTexts(user, 'zh');

  // Back to English from the settings.
  await page.getByRole('button', { name: zh.menu.title({ name: 'Kim' }) }).click();
  await page.getByRole('group', { name: zh.menu.language }).getByRole('radio', { name: en.app.language }).check();
  await page.getByRole('dialog', { name: en.menu.title({ name: 'Kim' }) }).waitFor();
  await page.keyboard.press('Escape');
  await checkVisibleTexts(user, 'en');
  await page.reload();
  await page.getByRole('textbox', { name: en.composer.label({ room: '#lobby' }) }).waitFor();
  await expectOnlyLocale('en', page);
});
