import { expect } from 'vitest';
import { test } from './fixtures/test';
import type { User } from './fixtures/user';

const TOPIC = '今天喝龙井, all day';

function inHeader(user: User) {
  return user.page.locator('.conversation-header').getByTitle(TOPIC);
}

test('topic set by one user is shown to others until it is removed', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const li = await env.login('李雷', { locale: 'zh-CN' });
  for (const user of [ann, li]) await user.openRoom('tea');
  await ann.send(`/topic  ${TOPIC} `, 'tea');
  for (const user of [ann, li]) {
    await inHeader(user).waitFor();
    await user.message(user.t.event.topic_changed({ name: 'Ann', topic: TOPIC })).waitFor();
    expect(await inHeader(user).textContent()).toContain(user.t.room_attribute.topic({ value: TOPIC }));
  }
  await li.page.reload();
  await inHeader(li).waitFor();

  await li.send('/topic', 'tea');
  for (const user of [ann, li]) {
    await inHeader(user).waitFor({ state: 'detached' });
    await user.message(user.t.event.topic_changed({ name: '李雷', topic: '' })).waitFor();
  }
});

test('topic that is too long is an error, and the line stays', async ({ env }) => {
  await env.startServer();
  const ann = await env.login('Ann');
  const line = `/topic ${'茶'.repeat(251)}`;
  await ann.send(line);
  await ann.page.getByRole('status').getByText(ann.t.error.topic_too_long).waitFor();
  await expect.poll(() => ann.composer('lobby').inputValue()).toBe(line);
});
