// Asks before anything is done, and for the admin token where one is needed. The token is kept as long as the tab.

import { byId } from './dom.js';

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} [key]
 * @property {string} verb
 * @property {boolean} grave
 * @property {string} path where it is posted to
 * @property {object} body
 * @property {string} done what is said when it is done
 */

const STORED = 'heatsink.token';
/** Milliseconds. */
const PATIENCE = 10_000;

/**
 * @param {object} page
 * @param {() => boolean} page.needsToken
 * @param {(text: string) => void} page.say
 */
export function createConfirm({ needsToken, say }) {
  const dialog = byId('confirm', HTMLDialogElement);
  const form = byId('confirm-form', HTMLFormElement);
  const [title, text, key] = [byId('confirm-title'), byId('confirm-text'), byId('confirm-key')];
  const tokenField = byId('confirm-token');
  const token = byId('token', HTMLInputElement);
  const error = byId('confirm-error');
  const yes = byId('confirm-yes', HTMLButtonElement);
  /** @type {Question | null} */
  let question = null;

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (question === null) return;
    yes.disabled = true;
    const asked = question;
    const given = tokenField.hidden ? remembered() : token.value;
    const trouble = await post(asked, given);
    yes.disabled = false;
    if (trouble === null) {
      if (given) remember(given);
      say(asked.done);
    }
    // It may have been closed meanwhile, and another question asked.
    if (question !== asked) return;
    if (trouble === null) dialog.close();
    else showTrouble(trouble);
  });
  byId('confirm-no').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    question = null;
    token.value = '';
  });
  // A press on what lies behind the dialog means no; the form fills all of the dialog itself.
  dialog.addEventListener('pointerdown', ({ target }) => {
    if (target === dialog) dialog.close();
  });

  /** @param {{ unauthorized: boolean, text: string }} trouble */
  function showTrouble(trouble) {
    if (trouble.unauthorized) {
      remember('');
      askToken();
      token.select();
    }
    error.textContent = trouble.text;
    error.hidden = false;
  }

  function askToken() {
    tokenField.hidden = false;
    token.required = true;
    token.focus();
  }

  return {
    /** @param {Question} next */
    ask(next) {
      question = next;
      title.textContent = next.title;
      text.textContent = next.text;
      key.textContent = next.key ?? '';
      key.hidden = next.key === undefined;
      yes.textContent = next.verb;
      yes.classList.toggle('danger', next.grave);
      error.hidden = true;
      tokenField.hidden = true;
      token.required = false;
      dialog.showModal();
      if (needsToken() && remembered() === '') askToken();
      else yes.focus();
    },
  };
}

/**
 * Null when it is done; else what is wrong.
 * @param {Question} question
 * @param {string} token
 * @returns {Promise<{ unauthorized: boolean, text: string } | null>}
 */
async function post({ path, body }, token) {
  const unauthorized = { unauthorized: true, text: 'heatsink does not accept this token.' };
  // A header has no other characters.
  if (!/^[\x21-\x7e]*$/.test(token)) return unauthorized;
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.ok) return null;
    if (response.status === 401) {
      return token ? unauthorized : { ...unauthorized, text: 'heatsink wants its admin token.' };
    }
    const { error } = await response.json().catch(() => ({ error: `HTTP ${response.status}` }));
    return { unauthorized: false, text: `heatsink refuses: ${error}` };
  } catch {
    return { unauthorized: false, text: 'heatsink does not answer. Nothing may have been done; try again.' };
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(STORED) ?? '';
  } catch {
    return '';
  }
}

/** @param {string} token */
function remember(token) {
  try {
    sessionStorage.setItem(STORED, token);
  } catch {
    // Storage is forbidden here: the token is asked for each time.
  }
}
