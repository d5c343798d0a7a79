import type { Command } from './types';

/** The most commands in one frame (`Limits::FRAME_COMMANDS`). */
export const COMMANDS_PER_FRAME = 256;

/** Encodes commands as text frames within the server's bounds: a single one as an object, several as an array. */
export function encode(commands: readonly Command[], frameBytes: number): string[] {
  const frames: string[] = [];
  let batch: string[] = [];
  let bytes = 2;
  const flush = () => {
    if (batch.length === 1) frames.push(batch[0]!);
    else if (batch.length > 1) frames.push(`[${batch.join(',')}]`);
    batch = [];
    bytes = 2;
  };
  for (const command of commands) {
    const text = JSON.stringify(command);
    const size = utf8Bytes(text) + 1;
    if (batch.length > 0 && (batch.length >= COMMANDS_PER_FRAME || bytes + size > frameBytes)) flush();
    batch.push(text);
    bytes += size;
  }
  flush();
  return frames;
}

/** The number of UTF-8 bytes of a text, without encoding it. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 4;
      i += 1;
    } else bytes += 3; // A lone surrogate is sent as U+FFFD, which has three bytes as well.
  }
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
