import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { KilnError } from './errors.ts';
import type { Random } from './random.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM under the farm's key (32 bytes), bound to `purpose`: nonce, tag, ciphertext. */
export function seal(key: Uint8Array, purpose: string, plain: Uint8Array, random: Random): Buffer {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

/** @throws KilnError PERMISSION_DENIED when key, purpose or bytes are not those of {@link seal} */
export function unseal(key: Uint8Array, purpose: string, sealed: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
      .setAAD(Buffer.from(purpose))
      .setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new KilnError('PERMISSION_DENIED', 'cannot open a sealed value: it was sealed by another farm key', {
      cause,
    });
  }
}

/** HMAC-SHA-256 under the farm's key, bound to `purpose`, in hexadecimal: tells equal values, and of no value what it is. */
export function keyedDigest(key: Uint8Array, purpose: string, value: Uint8Array): string {
  const own = createHmac('sha256', key).update(`keyed digest ${purpose}`).digest();
  return createHmac('sha256', own).update(value).digest('hex');
}
