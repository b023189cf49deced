// The page: what comes from heatsink goes to the parts that show it, and what is clicked goes to the dialog.

import { clearQuestion, keyQuestion } from './actions.js';
import { createByHand } from './by-hand.js';
import { createCharts } from './charts.js';
import { createConfirm } from './confirm.js';
import { byId, setText } from './dom.js';
import { createFilter } from './filter.js';
import { createHistory } from './history.js';
import { createHotKeys } from './hot-keys.js';
import { follow } from './live.js';
import { createSeen } from './seen.js';
import { createShards } from './shards.js';
import { createShortcuts } from './shortcuts.js';
import { createStatus } from './status.js';
import { showSummary } from './summary.js';
import { createThemeSwitch } from './theme.js';

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').Key} Key */
/** @typedef {import('./actions.js').KeyAction} KeyAction */

/** Milliseconds for which what was done stays on the page. */
const SAID = 6000;

/** @type {State | null} */
let state = null;
const history = createHistory();
const confirm = createConfirm({ needsToken: () => state?.token_required ?? false, say });
const act = (/** @type {KeyAction} */ action, /** @type {Key} */ key) =>
  confirm.ask(keyQuestion(action, key));
const clearTier = () => confirm.ask(clearQuestion(state?.tier.entries ?? 0));
const status = createStatus();
const charts = createCharts(history);
const shards = createShards();
const hotKeys = createHotKeys(act, showTables);
const byHand = createByHand(act);
const seen = createSeen();
const filter = createFilter(showTables, act);
const theme = createThemeSwitch(byId('theme', HTMLButtonElement), charts.redraw);
const help = byId('help', HTMLDialogElement);

// Several of them may be open at once.
document.title = `heatsink ${location.host}`;

byId('clear').addEventListener('click', clearTier);
byId('help-open').addEventListener('click', () => help.showModal());
byId('help-close').addEventListener('click', () => help.close());
createShortcuts({
  '/': filter.focus,
  t: theme.next,
  c: clearTier,
  '?': () => help.showModal(),
});

function show() {
  if (state === null) return;
  status.show(state);
  showSummary(state);
  charts.show(Date.parse(state.now) / 1000, state.mode === 'observe');
  shards.show(state);
  byHand.show(state);
  showTables();
}

function showTables() {
  if (state === null) return;
  filter.showEmpty(state, hotKeys.show(state, filter));
  seen.show(state, filter.matches);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let silence;

/** @param {string} text */
function say(text) {
  const said = byId('said');
  setText(said, text);
  clearTimeout(silence);
  silence = setTimeout(() => setText(said, ''), SAID);
}

follow({
  onHistory: history.replace,
  onState(next) {
    state = next;
    history.add(next);
    document.body.classList.remove('loading');
    show();
  },
  onBreak: status.showBreak,
});
