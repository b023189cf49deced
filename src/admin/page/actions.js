// What can be done from the page, each after a question: pin and ban keys, undo it, clear the tier.

import { longName } from './key.js';

/** @typedef {import('./state.d.ts').Key} Key */
/** @typedef {'pin' | 'unpin' | 'ban' | 'unban'} KeyAction */
/** @typedef {import('./confirm.js').Question} Question */

/** @type {Record<KeyAction, { title: string, text: string, verb: string, grave: boolean, done: string }>} */
const KEY_ACTIONS = {
  pin: {
    title: 'Pin this key?',
    text: 'It is kept in the tier as if it were hot, however rarely it is read, until you unpin it or heatsink restarts.',
    verb: 'Pin',
    grave: false,
    done: 'Pinned',
  },
  unpin: {
    title: 'Unpin this key?',
    text: 'It is kept only while it is hot again.',
    verb: 'Unpin',
    grave: false,
    done: 'Unpinned',
  },
  ban: {
    title: 'Ban this key?',
    text: 'It is not kept, shared or copied any more: all its reads go to Redis, until you lift the ban or heatsink restarts.',
    verb: 'Ban',
    grave: true,
    done: 'Banned',
  },
  unban: {
    title: 'Lift the ban of this key?',
    text: 'Once it is hot, it is kept again.',
    verb: 'Lift the ban',
    grave: false,
    done: 'No longer banned:',
  },
};

/**
 * @param {KeyAction} action
 * @param {Key} key
 * @returns {Question}
 */
export function keyQuestion(action, key) {
  const { done, ...words } = KEY_ACTIONS[action];
  const { key: name, encoding } = key;
  return {
    ...words,
    key: longName(key),
    path: `keys/${action}`,
    body: encoding ? { key: name, encoding } : { key: name },
    done: `${done} ${longName(key)}`,
  };
}

/**
 * @param {number} entries
 * @returns {Question}
 */
export function clearQuestion(entries) {
  const all = entries === 1 ? 'The one reply' : `All ${entries} replies`;
  return {
    title: 'Clear the tier?',
    text: `${entries > 0 ? all : 'Everything'} kept in memory is dropped, and the next reads go to Redis. Hot keys are kept again from then on; pins and bans stay.`,
    verb: 'Clear the tier',
    grave: true,
    path: 'tier/clear',
    body: {},
    done: 'Cleared the tier',
  };
}
