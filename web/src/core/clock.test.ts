import { expect, test } from 'vitest';
import { Clock } from './clock';

test('time goes on with the wall clock and never backwards, also when that is set back', () => {
  let wall = 1_000;
  const clock = new Clock(() => wall);
  expect(clock.now()).toBe(1_000);
  wall = 1_500;
  expect(clock.now()).toBe(1_500);
  wall = 200;
  expect(clock.now()).toBe(1_500);
  wall = 700;
  expect(clock.now()).toBe(2_000);
  // A laptop that was closed: what was due is due.
  wall = 90_000;
  expect(clock.now()).toBe(91_300);
});
