/** Counts in buckets that grow with the value: 64 to each power of two, so a quantile is off by at most 1.6 %. */
const SUB_BUCKET_BITS = 6;
const SUB_BUCKETS: number = 1 << SUB_BUCKET_BITS;
const BUCKETS: number = SUB_BUCKETS * 27;

/** Durations in whole microseconds, from 0 to about two minutes; anything longer is counted in the last bucket. */
export class Histogram {
  readonly #counts: Uint32Array = new Uint32Array(BUCKETS);
  #total = 0;

  add(micros: number): void {
    const index = bucketOf(micros);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total++;
  }

  /** The value below which the fraction `q` of all durations lies; 0 when there are none. */
  quantileMicros(q: number): number {
    let left = Math.ceil(this.#total * q);
    for (let index = 0; index < BUCKETS; index++) {
      left -= this.#counts[index] ?? 0;
      if (left <= 0) return this.#total === 0 ? 0 : valueOf(index);
    }
    return valueOf(BUCKETS - 1);
  }
}

function bucketOf(micros: number): number {
  const value = Math.max(0, Math.trunc(micros));
  if (value < SUB_BUCKETS) return value;
  const shift = 31 - Math.clz32(value) - SUB_BUCKET_BITS;
  return Math.min(BUCKETS - 1, SUB_BUCKETS * shift + (value >>> shift));
}

function valueOf(index: number): number {
  if (index < SUB_BUCKETS * 2) return index;
  const shift = (index >> SUB_BUCKET_BITS) - 1;
  return (index - SUB_BUCKETS * shift) * 2 ** shift;
}
