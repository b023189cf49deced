// Which of the places that have a value is asked for it next.

import type { Copy, Load } from './key-copies.ts';

/**
 * The better of two that are drawn (Mitzenmacher, The Power of Two Choices, 2001): the one with fewer reads under way,
 * else the one that has sent fewer bytes, so that over time all send the same. Null stands for the key's own node.
 */
export function chooseLoad(own: Load, copies: readonly Copy[], usable: (copy: Copy) => boolean): Copy | null {
  const { length } = copies;
  const first = Math.floor(Math.random() * (length + 1));
  const second = (first + 1 + Math.floor(Math.random() * length)) % (length + 1);
  const [one, other] = [copies[first], copies[second]].map((copy) =>
    copy !== undefined && usable(copy) ? copy : null,
  );
  return isLess(one?.load ?? own, other?.load ?? own) ? one : other;
}

function isLess(one: Load, other: Load): boolean {
  return one.outstanding === other.outstanding
    ? one.bytes < other.bytes
    : one.outstanding < other.outstanding;
}
