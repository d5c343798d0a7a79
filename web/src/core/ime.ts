/** What a press of Enter in the composer says about itself. */
export interface EnterPress {
  key: string;
  keyCode: number;
  isComposing: boolean;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

/**
 * Whether a key press sends. While an input method composes, Enter chooses a word and must never send:
 * - most browsers say so with `isComposing`;
 * - Safari ends the composition first and presses Enter after it, in the same task, with key code 229.
 */
export function enterSends(press: EnterPress, compositionEndedInThisTask: boolean): boolean {
  if (press.key !== 'Enter' || press.isComposing || press.keyCode === 229 || compositionEndedInThisTask) return false;
  return !press.shiftKey && !press.altKey;
}
