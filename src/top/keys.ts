// What keys do to what is looked at.

import type { Pressed } from './terminal.ts';
import { RANKS, shownKeys, type View } from './view.ts';
import type { KeyWay } from './watch.ts';

/** What a key asks for besides another look. */
export type Wish = { readonly kind: 'quit' } | { readonly kind: 'mark'; readonly way: KeyWay } | null;

const PAGE = 10;
const STEPS: Readonly<Record<string, number>> = {
  up: -1,
  down: 1,
  k: -1,
  j: 1,
  pageup: -PAGE,
  pagedown: PAGE,
  home: Number.NEGATIVE_INFINITY,
  end: Number.MAX_SAFE_INTEGER,
};

export function press(view: View, key: Pressed): Wish {
  if (key.ctrl && key.name === 'c') return { kind: 'quit' };
  view.said = '';
  if (view.prompt?.kind === 'filter') return typeFilter(view, view.prompt.text, key);
  if (view.prompt?.kind === 'confirm') return confirm(view, view.prompt.way, key);
  if (key.text === 'q') return { kind: 'quit' };
  if (key.text === 'p') view.paused = !view.paused;
  else if (key.text === 'f' || key.text === '/') view.prompt = { kind: 'filter', text: view.filter };
  else if (key.text === 's') view.rank = RANKS[(RANKS.indexOf(view.rank) + 1) % RANKS.length];
  else if (key.text === 'P') ask(view, ({ pinned }) => (pinned ? 'unpin' : 'pin'));
  else if (key.text === 'B') ask(view, ({ banned }) => (banned ? 'unban' : 'ban'));
  else if (Object.hasOwn(STEPS, key.name)) view.chosen = Math.max(0, view.chosen + STEPS[key.name]);
  return null;
}

function ask(view: View, wayFor: (key: { pinned: boolean; banned: boolean }) => KeyWay): void {
  const key = shownKeys(view)[view.chosen];
  if (key === undefined) view.said = 'there is no key to choose';
  else view.prompt = { kind: 'confirm', way: wayFor(key), key };
}

function confirm(view: View, way: KeyWay, key: Pressed): Wish {
  if (key.text === 'y') return { kind: 'mark', way };
  view.prompt = null;
  view.said = 'nothing was done';
  return null;
}

function typeFilter(view: View, text: string, key: Pressed): null {
  if (key.name === 'return') {
    view.filter = text;
    view.prompt = null;
  } else if (key.name === 'escape') {
    view.filter = '';
    view.prompt = null;
  } else if (key.name === 'backspace') {
    view.prompt = { kind: 'filter', text: text.slice(0, -1) };
  } else if (!key.ctrl && key.text.length > 0 && !/\p{C}/u.test(key.text)) {
    view.prompt = { kind: 'filter', text: text + key.text };
  }
  return null;
}
