import { beforeEach, expect, test } from 'vitest';
import type { OutboxItem } from '../core/outbox';
import { memoryStorage } from '../core/testing';
import * as storage from './storage';

const item: OutboxItem = { key: 'k1', room: 'r1', body: '你好', at: 5, epoch: 'e1', state: 'sent', attempt: 3, retryAt: 99 };

beforeEach(() => {
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: memoryStorage() });
});

test('an unsent message is kept for its person, until it is struck out', () => {
  storage.saveOutboxItem('u7', item);
  expect(storage.loadOutbox('u7')).toEqual([{ ...item, state: 'waiting', attempt: 0, retryAt: 0 }]);
  expect(storage.loadOutbox('u70')).toEqual([]);
  expect(storage.loadOutbox('u8')).toEqual([]);
  storage.removeOutboxItem('u7', 'k1');
  expect(storage.loadOutbox('u7')).toEqual([]);
});

test('a message that failed is kept as failed', () => {
  storage.saveOutboxItem('u7', { ...item, state: 'failed', code: 'not_a_member' });
  expect(storage.loadOutbox('u7')).toMatchObject([{ state: 'failed', code: 'not_a_member' }]);
});

test('what stands in storage and is no message is passed over', () => {
  for (const text of [null, '', '{', '7', 'null', '[]', '{"key":"k"}', JSON.stringify({ ...item, at: 'now' })]) {
    expect(storage.parseOutboxItem(text), String(text)).toBeNull();
  }
});

test('a message that another tab struck out is known by its key', () => {
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: null })).toBe('k1');
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: '{}' })).toBeNull();
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u8.k1', newValue: null })).toBeNull();
  expect(storage.removedElsewhere('u7', { key: null, newValue: null })).toBeNull();
  storage.saveOutboxItem('u7', { ...item, key: 'k1', state: 'held' });
  expect(storage.removedElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: null }), 'written down again').toBeNull();
});

test('each room has its own draft, and an empty one leaves nothing behind', () => {
  storage.saveDraft('u7', 'r1', 'half a');
  storage.saveDraft('u7', 'r2', 'other');
  expect([storage.loadDraft('u7', 'r1'), storage.loadDraft('u8', 'r1')]).toEqual(['half a', '']);
  storage.saveDraft('u7', 'r1', '');
  expect([storage.loadDraft('u7', 'r1'), localStorage.length]).toEqual(['', 1]);
});

test('where storage is denied, nothing is remembered and nothing breaks', () => {
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
