// The keys of most weight in a stream, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi: Efficient
// Computation of Frequent and Top-k Elements in Data Streams, ICDT 2005), with weights. A key that is new when all
// places are taken gets that of the lightest one, with its weight: so a weight is never too small, and too large by no
// more than the lightest that is kept.

/** A key and what it weighs. */
export interface Weighed {
  readonly key: Buffer;
  readonly weight: number;
}

interface Place {
  /** As latin1. */
  name: string;
  weight: number;
}

export class TopKeys {
  /** All that was added. */
  total = 0;
  readonly #capacity: number;
  readonly #at = new Map<string, number>();
  /** A heap: the lightest is the first. */
  readonly #heap: Place[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(name: string, weight: number): void {
    this.total += weight;
    const known = this.#at.get(name);
    if (known !== undefined) {
      this.#heap[known].weight += weight;
      this.#sink(known);
    } else if (this.#heap.length < this.#capacity) {
      this.#heap.push({ name, weight });
      this.#rise(this.#heap.length - 1);
    } else {
      const [lightest] = this.#heap;
      this.#at.delete(lightest.name);
      lightest.name = name;
      lightest.weight += weight;
      this.#at.set(name, 0);
      this.#sink(0);
    }
  }

  /** All that are kept, in no order. */
  list(): Weighed[] {
    return this.#heap
      .filter(({ weight }) => weight > 0)
      .map(({ name, weight }) => ({ key: Buffer.from(name, 'latin1'), weight }));
  }

  #rise(from: number): void {
    let at = from;
    const place = this.#heap[at];
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (this.#heap[above].weight <= place.weight) break;
      this.#put(at, this.#heap[above]);
      at = above;
    }
    this.#put(at, place);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    let at = from;
    const place = heap[at];
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1].weight < heap[below].weight) below++;
      if (heap[below].weight >= place.weight) break;
      this.#put(at, heap[below]);
      at = below;
    }
    this.#put(at, place);
  }

  #put(at: number, place: Place): void {
    this.#heap[at] = place;
    this.#at.set(place.name, at);
  }
}

/** What several have counted, the heaviest first. */
export function mergeTopKeys(lists: readonly (readonly Weighed[])[], count: number): Weighed[] {
  const sums = new Map<string, number>();
  for (const { key, weight } of lists.flat()) {
    // From another thread it comes as plain bytes.
    const name = Buffer.from(key).toString('latin1');
    sums.set(name, (sums.get(name) ?? 0) + weight);
  }
  return [...sums]
    .map(([name, weight]) => ({ key: Buffer.from(name, 'latin1'), weight }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, count);
}
