import { expect } from 'vitest';
import { seedRoom } from './fixtures/seed';
import { test } from './fixtures/test';

test('two users exchange messages in two rooms', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const li = await env.login('李雷', { locale: 'zh-CN' });

  await ann.send('Is anybody here?');
  await li.message('Is anybody here?').waitFor();
  await li.send('在呢，刚沏上茶。');
  await ann.message('在呢，刚沏上茶。').waitFor();

  await ann.openRoom('茶馆');
  await ann.send('Over here!', '茶馆');
  await li.openRoom('茶馆');
  await li.message('Over here!').waitFor();
  await li.send('来了', '茶馆');
  await ann.message('来了').waitFor();

  const both = [
    { who: 'Ann', text: 'Over here!' },
    { who: '李雷', text: '来了' },
  ];
  for (const user of [ann, li]) await expect.poll(() => user.delivered()).toMatchObject(both);
  expect(await li.storedMessages('茶馆')).toMatchObject(both);
  await ann.roomLink('lobby').click();
  await ann.message('在呢，刚沏上茶。').waitFor();
  expect(await ann.texts()).toEqual(['Is anybody here?', '在呢，刚沏上茶。']);
});

test('background room shows its unread count', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const bob = await env.login('Bob');
  await ann.openRoom('tea');
  await bob.send('one');
  await bob.send('two');
  await ann.roomLink('lobby').filter({ hasText: ann.t.rooms.unread({ n: 2 }) }).waitFor();
  await ann.roomLink('lobby').click();
  await ann.message('two').waitFor();
  await expect.poll(() => ann.roomLink('lobby').textContent()).not.toContain(ann.t.rooms.unread({ n: 2 }));
});

test('Chinese and emoji arrive unchanged', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const li = await env.login('李雷', { locale: 'zh-CN' });
  const texts = [
    '春眠不觉晓，处处闻啼鸟。',
    '👩‍👩‍👧‍👦 🇨🇳 👍🏽 🫖',
    '𠮷野家的𨭎 — é and e\u0301 stay apart',
    'שלום, tea & <b>cake</b> "quoted" \\n',
    '  two  spaces, and a\nsecond line\t(with a tab)',
  ];
  await ann.sendAll(texts);
  await expect.poll(() => li.texts()).toEqual(texts);
  expect((await li.storedMessages('lobby')).map(({ text }) => text)).toEqual(texts);
});

test('users list shows who is online', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const li = await env.login('李雷', { locale: 'zh-CN' });
  for (const user of [ann, li]) {
    await user.users.getByRole('listitem').filter({ hasText: 'Ann' }).waitFor();
    await user.users.getByRole('listitem').filter({ hasText: '李雷' }).waitFor();
    expect(await user.users.getByRole('listitem').count()).toBe(2);
  }
  await ann.page.getByRole('button', { name: ann.t.users.show({ n: 2 }) }).waitFor();
  await li.page.close();
  await expect.poll(() => ann.users.getByRole('listitem').allTextContents()).toHaveLength(1);
});

test('typing user is shown to others', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const li = await env.login('李雷', { locale: 'zh-CN' });
  // The indicator is shown for five seconds only, so the check starts before the typing.
  const seen = ann.page.getByText(ann.t.typing.one({ name: '李雷' })).waitFor();
  await Promise.all([seen, li.composer('lobby').pressSequentially('等一下')]);
  await li.composer('lobby').press('Enter');
  await ann.message('等一下').waitFor();
  await ann.page.getByText(ann.t.typing.one({ name: '李雷' })).waitFor({ state: 'detached' });
});

test('reload shows all messages once and in order', async ({ env }) => {
  await env.startServer({ limits: false });
  const ann = await env.login('Ann');
  const bob = await env.login('Bob');
  const sent: string[] = [];
  for (let i = 1; i <= 5; i++) {
    for (const user of [ann, bob]) {
      sent.push(`${user.name} says ${i}`);
      await user.send(sent.at(-1)!);
      await (user === ann ? bob : ann).message(sent.at(-1)!).waitFor();
    }
  }
  for (const user of [ann, bob]) {
    await user.page.reload();
    await user.message('Bob says 5').waitFor();
    expect(await user.texts()).toEqual(sent);
    expect(await user.delivered()).toEqual(await user.storedMessages('lobby'));
  }
});

test('scrolling up loads the whole history', async ({ env }) => {
  await env.startServer({ limits: false });
  const lines = Array.from({ length: 700 }, (_, i) => `line ${i + 1} of a long story`);
  await seedRoom(env, 'Storyteller', 'lobby', lines);
  const ann = await env.login('Ann');
  await ann.message('line 700 of a long story').waitFor();
  expect((await ann.texts()).length).toBeLessThan(200);

  const seen = new Map<number, string>();
  const beginning = ann.message('line 1 of a long story');
  await expect
    .poll(
      async () => {
        const here = await ann.delivered();
        const numbers = here.map(({ seq }) => seq!);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        for (const { seq, text } of here) seen.set(seq!, text);
        await ann.scroller.press('Home');
        return beginning.isVisible();
      },
      { timeout: 120_000 },
    )
    .toBe(true);
  for (const { seq, text } of await ann.delivered()) seen.set(seq!, text);
  expect([...seen].sort(([a], [b]) => a - b).map(([, text]) => text)).toEqual(lines);
});
