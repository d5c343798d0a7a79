import { describe, expect, test } from 'vitest';
import { enterSends } from './ime';

describe('Enter', () => {
  const press = { key: 'Enter', keyCode: 13, isComposing: false, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };

  test('plain Enter sends, Shift and Enter does not', () => {
    expect(enterSends(press, false)).toBe(true);
    expect(enterSends({ ...press, shiftKey: true }, false)).toBe(false);
    expect(enterSends({ ...press, key: 'a' }, false)).toBe(false);
  });

  test('Enter during composition does not send', () => {
    expect(enterSends({ ...press, isComposing: true }, false)).toBe(false);
    expect(enterSends({ ...press, keyCode: 229 }, false)).toBe(false);
    expect(enterSends({ ...press, isComposing: true, keyCode: 229, ctrlKey: true }, false)).toBe(false);
  });

  test('Enter after compositionend in the same task does not send', () => {
    expect(enterSends(press, true)).toBe(false);
  });
});
