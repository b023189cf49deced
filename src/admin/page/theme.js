// Light, dark, or as the system has it; and the colours of the style sheet for what is drawn on a canvas.

import { setAttribute } from './dom.js';

const STORED = 'heatsink.theme';
const THEMES = /** @type {const} */ (['system', 'light', 'dark']);

/** @type {Map<string, string>} */
const colours = new Map();
const probe = document.createElement('span');

/**
 * The colour that a custom property of the style sheet has in the present theme.
 * @param {string} property such as `--text`
 */
export function colour(property) {
  let value = colours.get(property);
  if (value === undefined) {
    if (!probe.isConnected) document.documentElement.append(probe);
    probe.hidden = true;
    probe.style.color = `var(${property})`;
    value = getComputedStyle(probe).color;
    colours.set(property, value);
  }
  return value;
}

/**
 * Makes the button go through the themes; `changed` is called whenever colours are others, by the system too.
 * @param {HTMLButtonElement} button
 * @param {() => void} changed
 */
export function createThemeSwitch(button, changed) {
  const root = document.documentElement;
  const current = () => THEMES.find((theme) => theme === root.dataset.theme) ?? 'system';

  function show() {
    const label = `Theme: ${current()}`;
    setAttribute(button, 'aria-label', label);
    setAttribute(button, 'title', `${label} (t)`);
    button.dataset.theme = current();
    colours.clear();
    changed();
  }

  function next() {
    const theme = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      localStorage.setItem(STORED, theme === 'system' ? '' : theme);
    } catch {
      // Storage is forbidden here: the choice lasts as long as the page.
    }
    show();
  }

  button.addEventListener('click', next);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
  show();
  return { next };
}
