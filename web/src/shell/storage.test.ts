import { beforeEach, expect, test } from 'vitest';
import type { Item } from '../core/outbox';
import { memoryStorage } from '../core/testing';
import * as storage from './storage';

const item: Item = { key: 'k1', room: 'r1', body: '你好', at: 5, epoch: 'e1', state: 'sent', attempt: 3, notBefore: 99 };

beforeEach(() => {
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: memoryStorage() });
});

test('an unsent message is kept for its person, until it is struck out', () => {
  storage.keepItem('u7', item);
  expect(storage.keptItems('u7')).toEqual([{ ...item, state: 'waiting', attempt: 0, notBefore: 0 }]);
  expect(storage.keptItems('u70')).toEqual([]);
  expect(storage.keptItems('u8')).toEqual([]);
  storage.strikeItem('u7', 'k1');
  expect(storage.keptItems('u7')).toEqual([]);
});

test('a message that failed is kept as failed', () => {
  storage.keepItem('u7', { ...item, state: 'failed', code: 'not_a_member' });
  expect(storage.keptItems('u7')).toMatchObject([{ state: 'failed', code: 'not_a_member' }]);
});

test('what stands in storage and is no message is passed over', () => {
  for (const text of [null, '', '{', '7', 'null', '[]', '{"key":"k"}', JSON.stringify({ ...item, at: 'now' })]) {
    expect(storage.readItem(text), String(text)).toBeNull();
  }
});

test('a message that another tab struck out is known by its key', () => {
  expect(storage.struckElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: null })).toBe('k1');
  expect(storage.struckElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: '{}' })).toBeNull();
  expect(storage.struckElsewhere('u7', { key: 'teahouse.outbox.u8.k1', newValue: null })).toBeNull();
  expect(storage.struckElsewhere('u7', { key: null, newValue: null })).toBeNull();
  storage.keepItem('u7', { ...item, key: 'k1', state: 'held' });
  expect(storage.struckElsewhere('u7', { key: 'teahouse.outbox.u7.k1', newValue: null }), 'written down again').toBeNull();
});

test('each room has its own draft, and an empty one leaves nothing behind', () => {
  storage.keepDraft('u7', 'r1', 'half a');
  storage.keepDraft('u7', 'r2', 'other');
  expect([storage.draft('u7', 'r1'), storage.draft('u8', 'r1')]).toEqual(['half a', '']);
  storage.keepDraft('u7', 'r1', '');
  expect([storage.draft('u7', 'r1'), localStorage.length]).toEqual(['', 1]);
});

test('where storage is denied, nothing is remembered and nothing breaks', () => {
  Object.defineProperty(globalThis, 'localStorage', {
    configurable: true,
    get() {
      throw new DOMException('denied', 'SecurityError');
    },
  });
  storage.keepItem('u7', item);
  storage.remember('name', 'Ann');
  expect([storage.recall('name'), storage.keptItems('u7'), storage.draft('u7', 'r1')]).toEqual([null, [], '']);
});
