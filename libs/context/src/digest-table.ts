import { randomFillSync } from 'node:crypto';
import { type Digest, parseDigest } from '#oci';

const WORDS = 8;
/** By the first byte of a digest: what grows, and is sorted, is small. */
const SHARDS = 256;
const FIRST_CAPACITY = 16;
/** Of a shard's places, those that are taken at most. */
const LOAD = 0.75;
const NONE = -1;
const PREFIX = 'sha256:';

/**
 * A number for each of very many digests, in some 70 bytes each and without an object each: half a million strings in a Map
 * cost the garbage collector seconds. Where a digest stands is nothing that who sends it can know.
 */
export class DigestTable {
  readonly #shards = Array.from({ length: SHARDS }, (): Shard | undefined => undefined);
  readonly #wanted = new Uint32Array(WORDS);
  readonly #bytes = Buffer.from(this.#wanted.buffer);
  readonly #factors = randomFillSync(new Uint32Array(WORDS));
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(digest: Digest): number | undefined {
    return this.#shards[this.#read(digest)]?.get(this.#wanted);
  }

  /** Notes a number of at least 0 for a digest that has none yet. @returns the digest's number */
  add(digest: Digest, value: number): number {
    const first = this.#read(digest);
    const shard = (this.#shards[first] ??= new Shard(this.#factors));
    const known = shard.add(this.#wanted, value);
    if (known !== undefined) return known;
    this.#size++;
    return value;
  }

  /** All, in the order of the digests, some hundredth of them at a time. */
  *inOrder(): Generator<readonly (readonly [Digest, number])[]> {
    for (const shard of this.#shards)
      if (shard !== undefined) yield [...shard.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Into `#wanted`. @returns its first byte */
  #read(digest: Digest): number {
    this.#bytes.write(digest.slice(PREFIX.length), 'hex');
    return this.#bytes[0] ?? 0;
  }
}

/** Open addressing with linear probing. */
class Shard {
  readonly #factors: Uint32Array;
  #words = new Uint32Array(FIRST_CAPACITY * WORDS);
  #values = new Float64Array(FIRST_CAPACITY).fill(NONE);
  #size = 0;

  constructor(factors: Uint32Array) {
    this.#factors = factors;
  }

  get(wanted: Uint32Array): number | undefined {
    const value = this.#values[this.#placeOf(wanted)] ?? NONE;
    return value === NONE ? undefined : value;
  }

  /** @returns the number that was there */
  add(wanted: Uint32Array, value: number): number | undefined {
    const known = this.get(wanted);
    if (known !== undefined) return known;
    if (this.#size + 1 > this.#values.length * LOAD) this.#grow();
    this.#put(wanted, value);
    this.#size++;
    return undefined;
  }

  *entries(): Generator<readonly [Digest, number]> {
    const bytes = Buffer.from(this.#words.buffer);
    for (const [place, value] of this.#values.entries())
      if (value !== NONE) yield [parseDigest(PREFIX + bytes.toString('hex', place * 32, place * 32 + 32)), value];
  }

  #put(words: Uint32Array, value: number): void {
    const place = this.#placeOf(words);
    this.#words.set(words, place * WORDS);
    this.#values[place] = value;
  }

  /** Where a digest stands, or would. */
  #placeOf(wanted: Uint32Array): number {
    const mask = this.#values.length - 1;
    let hash = 0;
    for (let at = 0; at < WORDS; at++)
      hash = (hash + Math.imul((wanted[at] ?? 0) ^ (hash >>> 16), this.#factors[at] ?? 0)) | 0;
    let place = (hash ^ (hash >>> 15)) & mask;
    while (this.#values[place] !== NONE && !this.#isAt(place, wanted)) place = (place + 1) & mask;
    return place;
  }

  #isAt(place: number, wanted: Uint32Array): boolean {
    const from = place * WORDS;
    for (let at = 0; at < WORDS; at++) if (this.#words[from + at] !== wanted[at]) return false;
    return true;
  }

  #grow(): void {
    const [words, values] = [this.#words, this.#values];
    this.#words = new Uint32Array(words.length * 2);
    this.#values = new Float64Array(values.length * 2).fill(NONE);
    for (const [place, value] of values.entries())
      if (value !== NONE) this.#put(words.subarray(place * WORDS, place * WORDS + WORDS), value);
  }
}
