import { expect } from 'vitest';
import { test } from './fixtures/test';

test('Enter during composition selects, and sends afterwards', async ({ env }) => {
  await env.startServer();
  const li = await env.login('李雷', { locale: 'zh-CN' });
  const composer = li.composer('lobby');
  const keyboard = await li.context.newCDPSession(li.page);
  const enter = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 229, nativeVirtualKeyCode: 229 };

  await composer.focus();
  await keyboard.send('Input.imeSetComposition', { text: 'chaguan', selectionStart: 7, selectionEnd: 7 });
  await expect.poll(() => composer.inputValue()).toBe('chaguan');
  // Browsers report 229 for every key that an input method handles.
  await keyboard.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...enter });
  await keyboard.send('Input.insertText', { text: '茶馆' });
  await keyboard.send('Input.dispatchKeyEvent', { type: 'keyUp', ...enter });
  await expect.poll(() => composer.inputValue()).toBe('茶馆');
  expect(await li.texts()).toEqual([]);

  await composer.press('Enter');
  await expect.poll(() => li.storedMessages('lobby')).toMatchObject([{ text: '茶馆' }]);
  expect(await composer.inputValue()).toBe('');
});

test('Enter in the task of compositionend does not send', async ({ env }) => {
  await env.startServer();
  const li = await env.login('李雷', { locale: 'zh-CN' });
  const composer = li.composer('lobby');
  await composer.fill('你好');
  // Safari ends the composition first and then presses Enter in the same task; other browsers press Enter during it.
  await composer.evaluate((area) => {
    const press = (init: KeyboardEventInit) =>
      area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init }));
    area.dispatchEvent(new CompositionEvent('compositionstart', { bubbles: true }));
    press({ isComposing: true });
    press({ keyCode: 229 });
    area.dispatchEvent(new CompositionEvent('compositionend', { data: '你好', bubbles: true }));
    press({});
  });
  // Waits for the next task, so that the page's own timeout has run.
  await li.page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  expect(await composer.inputValue()).toBe('你好');
  expect(await li.texts()).toEqual([]);
  await composer.press('Enter');
  await expect.poll(() => li.storedMessages('lobby')).toMatchObject([{ text: '你好' }]);
});

test('Shift and Enter insert a line break', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const composer = ann.composer('lobby');
  await composer.pressSequentially('one');
  await composer.press('Shift+Enter');
  await composer.pressSequentially('two');
  expect(await composer.inputValue()).toBe('one\ntwo');
  await composer.press('Enter');
  await expect.poll(() => ann.storedMessages('lobby')).toMatchObject([{ text: 'one\ntwo' }]);
});
