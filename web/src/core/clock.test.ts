import { expect, test } from 'vitest';
import { Clock } from './clock';

test('clock follows the wall clock and never runs backwards', () => {
  let wall = 1_000;
  const clock = new Clock(() => wall);
  expect(clock.now()).toBe(1_000);
  wall = 1_500;
  expect(clock.now()).toBe(1_500);
  wall = 200;
  expect(clock.now()).toBe(1_500);
  wall = 700;
  expect(clock.now()).toBe(2_000);
  // After a laptop's sleep, delays have elapsed.
  wall = 90_000;
  expect(clock.now()).toBe(91_300);
});
