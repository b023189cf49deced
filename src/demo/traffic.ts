// What the demo's clients ask for: products, as unevenly as in a shop, and now and then a flash sale.

export interface Demand {
  /** The number of the next product that somebody asks for, from 0 up. */
  next(flashSale: boolean): number;
}

/** Products that there are. */
export const PRODUCTS = 10_000;
/** Of all reads during a flash sale, those of the product that is on sale. */
const RUSH = 0.6;
/** The product on sale: no favourite on other days. */
export const ON_SALE = 4711;
/** Of the Zipf distribution: with it the favourite gets a tenth of the reads. */
const EXPONENT = 1;

/** Seconds: each half minute or so begins calm and ends with a sale. */
export const CALM = 12;
export const PERIOD = 20;

/** Draws by a Zipf distribution over the products, most wanted first. */
export function createDemand(random: () => number = Math.random): Demand {
  const upTo = new Float64Array(PRODUCTS);
  let sum = 0;
  for (let i = 0; i < PRODUCTS; i++) {
    sum += 1 / (i + 1) ** EXPONENT;
    upTo[i] = sum;
  }
  function draw(): number {
    const at = random() * sum;
    let [low, high] = [0, PRODUCTS - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  return { next: (flashSale) => (flashSale && random() < RUSH ? ON_SALE : draw()) };
}

export function keyOf(product: number): string {
  return `product:${product}`;
}
