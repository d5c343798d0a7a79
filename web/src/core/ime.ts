/** The properties of a key press that decide whether it sends. */
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
 * Whether a key press sends. During composition, Enter selects a candidate and must not send. Most browsers set `isComposing`;
 * Safari ends the composition first and then presses Enter in the same task, with key code 229.
 */
export function enterSends(press: EnterPress, compositionEndedInThisTask: boolean): boolean {
  if (press.key !== 'Enter' || press.isComposing || press.keyCode === 229 || compositionEndedInThisTask) return false;
  return !press.shiftKey && !press.altKey;
}
