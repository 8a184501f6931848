import { randomBytes } from 'node:crypto';

/** The door through which randomness enters: `size` unpredictable bytes. */
export type Random = (size: number) => Uint8Array;

export const systemRandom: Random = (size) => randomBytes(size);

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** An identifier of `length` characters from Crockford's base 32, in lower case: 5 bits each. */
export function randomId(random: Random, length: number): string {
  return Array.from(random(length), (byte) => alphabet[byte % 32]).join('');
}
