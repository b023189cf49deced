// The arguments of a request one at a time, for the paths on which a copy does not matter.

import type { RequestFrame } from '../resp3/request-frame.ts';

/** The bytes of one argument: a view into the frame's input, valid as long as that is. */
export function argument(frame: RequestFrame, index: number): Buffer {
  const { buf, start, args } = frame;
  return buf.subarray(start + args[index * 2], start + args[index * 2 + 1]);
}

/** One argument with every byte as the character of that code, so that nothing is lost or joined. */
export function argumentText(frame: RequestFrame, index: number): string {
  return argument(frame, index).toString('latin1');
}

/** Whether the argument is this lower-case word, in any case. */
export function argumentIs(frame: RequestFrame, index: number, word: string): boolean {
  const at = frame.start + frame.args[index * 2];
  if (frame.start + frame.args[index * 2 + 1] - at !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const wanted = word.charCodeAt(i);
    const isLetter = wanted >= 0x61 && wanted <= 0x7a;
    if ((frame.buf[at + i] | (isLetter ? 0x20 : 0)) !== wanted) return false;
  }
  return true;
}
