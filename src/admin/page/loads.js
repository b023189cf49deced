// What a node gets with heatsink in front of it, and what it would get without.

/**
 * A heatsink that serves has spared the node what is saved; one that only observes would have.
 * @param {{ requests: number, saved: number }} rates
 * @param {boolean} observes
 */
export function loadOf({ requests, saved }, observes) {
  return observes
    ? { without: requests, withIt: Math.max(0, requests - saved) }
    : { without: requests + saved, withIt: requests };
}
