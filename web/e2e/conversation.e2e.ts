import { expect } from 'vitest';
import { fill } from './house/talker';
import { test } from './house/test';

test('two people talk both ways in two rooms', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  const li = await house.person('李雷', { locale: 'zh-CN' });

  await ann.say('Is anybody here?');
  await li.message('Is anybody here?').waitFor();
  await li.say('在呢，刚沏上茶。');
  await ann.message('在呢，刚沏上茶。').waitFor();

  await ann.goTo('茶馆');
  await ann.say('Over here!', '茶馆');
  await li.goTo('茶馆');
  await li.message('Over here!').waitFor();
  await li.say('来了', '茶馆');
  await ann.message('来了').waitFor();

  const both = [
    { who: 'Ann', text: 'Over here!' },
    { who: '李雷', text: '来了' },
  ];
  for (const person of [ann, li]) await expect.poll(() => person.delivered()).toMatchObject(both);
  expect(await li.logged('茶馆')).toMatchObject(both);
  await ann.roomLink('lobby').click();
  await ann.message('在呢，刚沏上茶。').waitFor();
  expect(await ann.texts()).toEqual(['Is anybody here?', '在呢，刚沏上茶。']);
});

test('a room that one is not looking at counts what was said in it', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  const bob = await house.person('Bob');
  await ann.goTo('tea');
  await bob.say('one');
  await bob.say('two');
  await ann.roomLink('lobby').filter({ hasText: ann.t.rooms.unread(2) }).waitFor();
  await ann.roomLink('lobby').click();
  await ann.message('two').waitFor();
  await expect.poll(() => ann.roomLink('lobby').textContent()).not.toContain(ann.t.rooms.unread(2));
});

test('Chinese and emoji arrive as they were typed', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  const li = await house.person('李雷', { locale: 'zh-CN' });
  const texts = [
    '春眠不觉晓，处处闻啼鸟。',
    '👩‍👩‍👧‍👦 🇨🇳 👍🏽 🫖',
    '𠮷野家的𨭎 — é and e\u0301 stay apart',
    'שלום, tea & <b>cake</b> "quoted" \\n',
    '  two  spaces, and a\nsecond line\t(with a tab)',
  ];
  await ann.sayAll(texts);
  await expect.poll(() => li.texts()).toEqual(texts);
  expect((await li.logged('lobby')).map(({ text }) => text)).toEqual(texts);
});

test('who is here shows everybody, and who left no more', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  const li = await house.person('李雷', { locale: 'zh-CN' });
  for (const person of [ann, li]) {
    await person.people.getByRole('listitem').filter({ hasText: 'Ann' }).waitFor();
    await person.people.getByRole('listitem').filter({ hasText: '李雷' }).waitFor();
    expect(await person.people.getByRole('listitem').count()).toBe(2);
  }
  await ann.page.getByRole('button', { name: ann.t.people.show(2) }).waitFor();
  await li.page.close();
  await expect.poll(() => ann.people.getByRole('listitem').allTextContents()).toHaveLength(1);
});

test('the others see that somebody is typing', async ({ house }) => {
  await house.open();
  const ann = await house.person('Ann');
  const li = await house.person('李雷', { locale: 'zh-CN' });
  // It is shown for some seconds only, so she looks before he begins.
  const seen = ann.page.getByText(ann.t.typing.one('李雷')).waitFor();
  await Promise.all([seen, li.composer('lobby').pressSequentially('等一下')]);
  await li.composer('lobby').press('Enter');
  await ann.message('等一下').waitFor();
  await ann.page.getByText(ann.t.typing.one('李雷')).waitFor({ state: 'detached' });
});

test('a reload shows what was said, oldest first and nothing twice', async ({ house }) => {
  await house.open({ limits: false });
  const ann = await house.person('Ann');
  const bob = await house.person('Bob');
  const said: string[] = [];
  for (let i = 1; i <= 5; i++) {
    for (const person of [ann, bob]) {
      said.push(`${person.name} says ${i}`);
      await person.say(said.at(-1)!);
      await (person === ann ? bob : ann).message(said.at(-1)!).waitFor();
    }
  }
  for (const person of [ann, bob]) {
    await person.page.reload();
    await person.message('Bob says 5').waitFor();
    expect(await person.texts()).toEqual(said);
    expect(await person.delivered()).toEqual(await person.logged('lobby'));
  }
});

test('scrolling up brings everything that was ever said', async ({ house }) => {
  await house.open({ limits: false });
  const lines = Array.from({ length: 700 }, (_, i) => `line ${i + 1} of a long evening`);
  await fill(house, 'Storyteller', 'lobby', lines);
  const ann = await house.person('Ann');
  await ann.message('line 700 of a long evening').waitFor();
  expect((await ann.texts()).length).toBeLessThan(200);

  const seen = new Map<number, string>();
  const beginning = ann.message('line 1 of a long evening');
  await expect
    .poll(
      async () => {
        const here = await ann.delivered();
        const numbers = here.map(({ seq }) => seq!);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        for (const { seq, text } of here) seen.set(seq!, text);
        await ann.stream.press('Home');
        return beginning.isVisible();
      },
      { timeout: 120_000 },
    )
    .toBe(true);
  for (const { seq, text } of await ann.delivered()) seen.set(seq!, text);
  expect([...seen].sort(([a], [b]) => a - b).map(([, text]) => text)).toEqual(lines);
});
