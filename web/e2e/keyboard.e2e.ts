import { expect } from 'vitest';
import { test } from './fixtures/test';
import type { User } from './fixtures/user';

interface Stop {
  role: string;
  name: string;
  visible: boolean;
}

/**
 * The role and name of the focused element, and whether the focus is visible. Null between the end and the start of the page.
 */
async function focused(user: User): Promise<Stop | null> {
  const { page } = user;
  if (await page.evaluate(() => document.activeElement === document.body)) return null;
  const inspector = await user.context.newCDPSession(page);
  const { result } = await inspector.send('Runtime.evaluate', { expression: 'document.activeElement' });
  const { nodes } = await inspector.send('Accessibility.getPartialAXTree', { objectId: result.objectId!, fetchRelatives: false });
  await inspector.detach();
  const visible = await page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    // The focus ring may be drawn around an ancestor.
    const around = [element, element.parentElement, element.parentElement?.parentElement].filter((box) => box instanceof HTMLElement);
    const looks = () => {
      for (const animation of document.getAnimations()) animation.finish();
      return around.map((box) => {
        const { outline, boxShadow, borderColor } = getComputedStyle(box);
        return `${outline} ${boxShadow} ${borderColor}`;
      });
    };
    const withFocus = looks();
    element.blur();
    const without = looks();
    element.focus({ preventScroll: true });
    return withFocus.some((look, i) => look !== without[i]);
  });
  return { role: String(nodes[0]?.role?.value ?? ''), name: String(nodes[0]?.name?.value ?? ''), visible };
}

/**
 * Presses Tab until an element with the role and name has the focus. Every element on the way needs a name and a visible focus.
 */
async function tabUntil(user: User, role: string, names: string | string[], key = 'Tab'): Promise<void> {
  const passed: string[] = [];
  for (let presses = 0; presses < 40; presses++) {
    await user.page.keyboard.press(key);
    const stop = await focused(user);
    if (!stop) continue;
    passed.push(`${stop.role} ${stop.name}`);
    expect(stop.name, passed.join(' → ')).not.toBe('');
    expect(stop.visible, `the focus is seen on ${stop.role} “${stop.name}”`).toBe(true);
    if (stop.role === role && [names].flat().some((name) => stop.name.includes(name))) return;
  }
  throw new Error(`no ${role} “${names}” on the way: ${passed.join(' → ')}`);
}

test('keyboard alone is enough to log in, send and switch rooms', async ({ env }) => {
  await env.startServer();
  const bob = await env.login('Bob');
  const ann = await env.openPage('Ann');
  const { keyboard } = ann.page;
  const { t } = ann;

  await ann.nameInput.waitFor();
  await expect.poll(() => focused(ann)).toEqual({ role: 'textbox', name: t.login.name, visible: true });
  await keyboard.type('Ann');
  await keyboard.press('Enter');
  await ann.composer('lobby').waitFor();
  await expect.poll(() => focused(ann)).toEqual({ role: 'textbox', name: t.composer.label({ room: '#lobby' }), visible: true });
  await keyboard.type('No mouse needed.');
  await keyboard.press('Enter');
  await bob.message('No mouse needed.').waitFor();
  await ann.message('No mouse needed.').and(ann.page.locator('[data-seq]')).waitFor();

  await tabUntil(ann, 'textbox', t.rooms.find, 'Shift+Tab');
  await keyboard.type('tea');
  await keyboard.press('Enter');
  await ann.composer('tea').waitFor();
  await expect.poll(async () => (await focused(ann))?.name).toBe(t.composer.label({ room: '#tea' }));
  await keyboard.type('Here neither.');
  await keyboard.press('Enter');
  await expect.poll(() => ann.storedMessages('tea')).toMatchObject([{ text: 'Here neither.' }]);

  // Through the room list: one tab stop, arrow keys inside.
  await tabUntil(ann, 'button', ['lobby', 'tea'], 'Shift+Tab');
  await keyboard.press('End');
  expect((await focused(ann))?.name).toBe('tea');
  await keyboard.press('ArrowUp');
  expect((await focused(ann))?.name).toBe('lobby');
  await keyboard.press('Enter');
  await ann.composer('lobby').waitFor();

  // With the shortcut.
  await keyboard.press('Alt+ArrowDown');
  await ann.composer('tea').waitFor();
  await keyboard.press('Alt+ArrowUp');
  await ann.composer('lobby').waitFor();
});

test('every tab stop has a name and a visible focus', async ({ env }) => {
  await env.startServer();
  for (const locale of ['en-US', 'zh-CN']) {
    const ann = await env.openPage('Ann', { locale });
    const { t } = ann;
    await ann.nameInput.waitFor();
    // Through the login screen, including language and theme.
    await tabUntil(ann, 'radio', t.menu.system);
    await ann.login();
    await ann.send('a message');
    await ann.messages.last().and(ann.page.locator('[data-seq]')).waitFor();
    // Through the chat screen and around to its start.
    await tabUntil(ann, 'link', t.app.skip);
    await tabUntil(ann, 'button', t.menu.title({ name: 'Ann' }));
    await ann.page.keyboard.press('Enter');
    await ann.page.getByRole('dialog').waitFor();
    await tabUntil(ann, 'button', t.menu.logout);
    await ann.page.keyboard.press('Escape');
    await ann.page.getByRole('dialog').waitFor({ state: 'hidden' });
    // The focus returns to the button that opened the dialog.
    await expect.poll(async () => (await focused(ann))?.name).toContain(t.menu.title({ name: 'Ann' }));
  }
});

test('new messages are announced once, history is not', async ({ env }) => {
  await env.startServer();
  const bob = await env.login('Bob');
  await bob.send('before');
  await bob.message('before').and(bob.page.locator('[data-seq]')).waitFor();
  const ann = await env.login('Ann');
  await ann.message('before').waitFor();
  const readOut = ann.page.getByRole('log', { name: ann.t.chat.new_line });
  await bob.send('Good evening');
  await readOut.getByText(ann.t.chat.announce({ name: 'Bob', text: 'Good evening' })).waitFor();
  expect(await readOut.textContent()).toBe(ann.t.chat.announce({ name: 'Bob', text: 'Good evening' }));
});
