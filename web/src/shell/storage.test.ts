import { beforeEach, expect, test } from 'vitest';
import type { OutboxItem } from '../core/outbox';
import { memoryStorage } from '../core/testing';
import * as storage from './storage';

const item: OutboxItem = { key: 'k1', room: 'r1', body: '你好', at: 5, epoch: 'e1', state: 'sent', attempt: 3, retryAt: 99 };

beforeEach(() => {
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: memoryStorage() });
});

test('unsent message is stored for its user until removed', () => {
  storage.saveOutboxItem('u7', item);
  expect(storage.loadOutbox('u7')).toEqual([{ ...item, state: 'waiting', attempt: 0, retryAt: 0 }]);
  expect(storage.loadOutbox('u70')).toEqual([]);
  expect(storage.loadOutbox('u8')).toEqual([]);
  storage.removeOutboxItem('u7', 'k1');
  expect(storage.loadOutbox('u7')).toEqual([]);
});

test('failed message is restored as failed', () => {
  storage.saveOutboxItem('u7', { ...item, state: 'failed', code: 'not_a_member' });
  expect(storage.loadOutbox('u7')).toMatchObject([{ state: 'failed', code: 'not_a_member' }]);
});

test('invalid stored message is ignored', () => {
  for (const text of [null, '', '{', '7', 'null', '[]', '{"key":"k"}', JSON.stringify({ ...item, at: 'now' })]) {
    expect(storage.parseOutboxItem(text), String(text)).toBeNull();
  }
});

test('message removed by another tab is identified by its key', () => {
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: null })).toBe('k1');
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: '{}' })).toBeNull();
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u8.k1', newValue: null })).toBeNull();
  expect(storage.removedElsewhere('u7', { key: null, newValue: null })).toBeNull();
  storage.saveOutboxItem('u7', { ...item, key: 'k1', state: 'held' });
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: null }), 'saved again').toBeNull();
});

test('draft is stored per room, and removed when empty', () => {
  storage.saveDraft('u7', 'r1', 'half a');
  storage.saveDraft('u7', 'r2', 'other');
  expect([storage.loadDraft('u7', 'r1'), storage.loadDraft('u8', 'r1')]).toEqual(['half a', '']);
  storage.saveDraft('u7', 'r1', '');
  expect([storage.loadDraft('u7', 'r1'), localStorage.length]).toEqual(['', 1]);
});

test('denied storage returns defaults and does not throw', () => {
  Object.defineProperty(globalThis, 'localStorage', {
    configurable: true,
    get() {
      throw new DOMException('denied', 'SecurityError');
    },
  });
  storage.saveOutboxItem('u7', item);
  storage.savePreference('name', 'Ann');
  expect([storage.loadPreference('name'), storage.loadOutbox('u7'), storage.loadDraft('u7', 'r1')]).toEqual([null, [], '']);
});
