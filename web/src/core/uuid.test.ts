import { expect, test } from 'vitest';
import { uuid7 } from './uuid';

test('UUIDv7 holds time, version and variant, and sorts by time', () => {
  const zeros = new Uint8Array(10);
  const ones = new Uint8Array(10).fill(255);
  expect(uuid7(0x0192f3a07b1e, zeros)).toBe('0192f3a0-7b1e-7000-8000-000000000000');
  expect(uuid7(0x0192f3a07b1e, ones)).toBe('0192f3a0-7b1e-7fff-bfff-ffffffffffff');
  expect(uuid7(1, ones) < uuid7(2, zeros)).toBe(true);
});
