import { describe, expect, test } from 'vitest';
import { enterSends } from './ime';

describe('Enter', () => {
  const press = { key: 'Enter', keyCode: 13, isComposing: false, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };

  test('sends, and with Shift makes a line', () => {
    expect(enterSends(press, false)).toBe(true);
    expect(enterSends({ ...press, shiftKey: true }, false)).toBe(false);
    expect(enterSends({ ...press, key: 'a' }, false)).toBe(false);
  });

  test('never sends while an input method composes', () => {
    expect(enterSends({ ...press, isComposing: true }, false)).toBe(false);
    expect(enterSends({ ...press, keyCode: 229 }, false)).toBe(false);
    expect(enterSends({ ...press, isComposing: true, keyCode: 229, ctrlKey: true }, false)).toBe(false);
  });

  test('does not send right after Safari ended the composition', () => {
    expect(enterSends(press, true)).toBe(false);
  });
});
