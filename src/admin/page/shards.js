// The nodes, with two bars each: what they get, and what they would get without heatsink; and how they are.

import { byId, el, setAttribute, setChildren, setText } from './dom.js';
import { count, milliseconds, percent, rate } from './format.js';
import { loadOf } from './loads.js';

/** @typedef {import('./state.d.ts').State} State */
/** @typedef {import('./state.d.ts').NodeState} NodeState */
/** @typedef {import('./state.d.ts').ReplicaState} ReplicaState */

export function createShards() {
  const list = byId('shard-list');
  const empty = byId('shards-empty');
  /** @type {Map<string, ReturnType<typeof createShard>>} */
  const shards = new Map();

  /** @param {State} state */
  function show({ nodes, replicas, mode }) {
    const observes = mode === 'observe';
    const most = Math.max(1, ...nodes.map((node) => loadOf(node, observes).without));
    for (const address of shards.keys()) {
      if (!nodes.some((node) => node.address === address)) shards.delete(address);
    }
    for (const node of nodes) {
      const shard = shards.get(node.address) ?? createShard(node.address);
      shards.set(node.address, shard);
      shard.show(
        node,
        replicas.filter(({ primary }) => primary === node.address),
        { most, observes },
      );
    }
    empty.hidden = nodes.length > 0;
    // In the order of the nodes, not of their load: bars that change places cannot be compared.
    setChildren(
      list,
      nodes.map(({ address }) => /** @type {HTMLElement} */ (shards.get(address)?.root)),
    );
  }

  return { show };
}

/** @param {string} address */
function createShard(address) {
  const health = el('span', { class: 'badge' });
  const detail = el('span', { class: 'detail' });
  const [without, withIt] = [createBar('without heatsink', 'hot'), createBar('with heatsink', 'cool')];
  const replicas = el('ul', { class: 'replicas' });
  const root = el(
    'li',
    { class: 'shard' },
    el('div', { class: 'head' }, el('span', { class: 'mono', text: address }), health, detail),
    without.root,
    withIt.root,
    replicas,
  );

  return {
    root,
    /**
     * @param {NodeState} node
     * @param {ReplicaState[]} copies
     * @param {{ most: number, observes: boolean }} among
     */
    show(node, copies, { most, observes }) {
      const [text, kind] = healthOf(node);
      setText(health, text);
      setAttribute(health, 'class', `badge ${kind}`);
      setText(detail, detailOf(node));
      const loads = loadOf(node, observes);
      const relief = loads.without > 0 ? 1 - loads.withIt / loads.without : 0;
      without.show(loads.without, most, '');
      withIt.show(loads.withIt, most, relief > 0 ? `−${percent(relief)}` : '');
      setChildren(replicas, copies.map(createReplica));
    },
  };
}

/**
 * @param {string} label
 * @param {string} kind
 */
function createBar(label, kind) {
  const fill = el('span', { class: `fill ${kind}` });
  const value = el('span', { class: 'number' });
  const less = el('span', { class: 'less number' });
  const track = el('span', { class: 'track', 'aria-hidden': 'true' }, fill);
  return {
    root: el('div', { class: 'load' }, el('span', { class: 'label', text: label }), track, value, less),
    /**
     * @param {number} load
     * @param {number} most
     * @param {string} note
     */
    show(load, most, note) {
      fill.style.width = `${(load / most) * 100}%`;
      setText(value, `${rate(load)}/s`);
      setText(less, note);
    },
  };
}

/**
 * @param {NodeState} node
 * @returns {[text: string, kind: string]}
 */
function healthOf({ connected, circuit_open, tracking }) {
  if (circuit_open) return ['out of reach', 'bad'];
  if (!connected) return ['not connected', 'bad'];
  if (tracking === 'refused') return ['refuses tracking', 'warn'];
  if (tracking === 'connecting') return ['connecting', 'warn'];
  return ['healthy', 'good'];
}

/** @param {NodeState} node */
function detailOf({ pending, tracking, proof_age_ms }) {
  const waiting = `${count(pending)} under way`;
  if (tracking !== 'on' || proof_age_ms === null) return waiting;
  return `${waiting}, exact as of ${milliseconds(proof_age_ms)} ago`;
}

/** @param {ReplicaState} replica */
function createReplica({ address, connected, fit, pending, lag_ms }) {
  const [text, kind] = fit
    ? ['healthy', 'good']
    : connected
      ? ['too far behind', 'warn']
      : ['not connected', 'bad'];
  const lag = lag_ms === null ? '' : `, at most ${milliseconds(lag_ms)} behind`;
  return el(
    'li',
    {},
    el('span', { class: 'mono', text: address }),
    el('span', { class: `badge ${kind}`, text }),
    el('span', { class: 'detail', text: `replica, ${count(pending)} under way${lag}` }),
  );
}
