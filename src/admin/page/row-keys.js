// The keyboard in a table: Tab comes by one row, the arrows go to the others, letters act on the row.
// https://www.w3.org/WAI/ARIA/apg/practices/keyboard-interface/#kbd_roving_tabindex

/** @typedef {{ root: HTMLTableRowElement, setReachable: (yes: boolean) => void }} Row */

/**
 * @param {HTMLTableSectionElement} body
 * @param {(letter: string, target: EventTarget | null) => boolean} press whether the letter means anything
 */
export function createRowKeys(body, press) {
  /** @type {HTMLTableRowElement | null} */
  let current = null;
  /** @type {readonly Row[]} */
  let rows = [];

  /** @param {HTMLTableRowElement | null} row */
  function reach(row) {
    current = row;
    for (const each of rows) each.setReachable(each.root === row);
  }

  /** @param {string} key */
  function targetOf(key) {
    const all = [...body.rows];
    const at = current === null ? -1 : all.indexOf(current);
    if (key === 'ArrowDown') return all[Math.min(at + 1, all.length - 1)];
    if (key === 'ArrowUp') return all[Math.max(at - 1, 0)];
    if (key === 'Home') return all[0];
    return key === 'End' ? all.at(-1) : undefined;
  }

  body.addEventListener('focusin', ({ target }) => {
    const row = target instanceof Element ? target.closest('tr') : null;
    if (row !== current) reach(row);
  });
  body.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = targetOf(event.key);
    if (next) {
      event.preventDefault();
      next.focus();
    } else if (event.key === 'Escape' && document.activeElement instanceof HTMLElement) {
      document.activeElement.blur();
    } else if (press(event.key.toLowerCase(), event.target)) {
      // Else the letter would go to the field that has the focus by now.
      event.preventDefault();
    }
  });

  return {
    /** @param {readonly Row[]} next the rows that are there now */
    refresh(next) {
      rows = next;
      const lost = current === null || !rows.some(({ root }) => root === current);
      reach(lost ? (body.rows[0] ?? null) : current);
    },
  };
}
