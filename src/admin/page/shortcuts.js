// Keys that work anywhere on the page, unless somebody is writing or a dialog is open.

/** @param {Record<string, () => void>} actions by the character that is pressed */
export function createShortcuts(actions) {
  document.addEventListener('keydown', (event) => {
    const writing = event.target instanceof HTMLInputElement;
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector('dialog[open]')) return;
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : undefined;
    if (!action) return;
    event.preventDefault();
    action();
  });
}
