// Requests to each master: over the whole trace, and in its busiest second.

export class NodeLoads {
  /** Requests, by node. */
  readonly total: Float64Array;
  /** The most requests that any node got in one second. */
  peak = 0;
  readonly #second: Float64Array;

  constructor(nodes: number) {
    this.total = new Float64Array(nodes);
    this.#second = new Float64Array(nodes);
  }

  sent(node: number): void {
    this.#second[node]++;
  }

  /** One second has ended. */
  roll(): void {
    for (let node = 0; node < this.#second.length; node++) {
      const count = this.#second[node];
      if (count === 0) continue;
      this.total[node] += count;
      if (count > this.peak) this.peak = count;
      this.#second[node] = 0;
    }
  }
}
