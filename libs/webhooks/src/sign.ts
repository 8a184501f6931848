import { createHmac } from 'node:crypto';

export interface SignedMessage {
  /** the `webhook-id`: the same in every attempt */
  readonly id: string;
  /** seconds since the epoch */
  readonly timestampS: number;
  readonly body: string;
}

/**
 * The header `webhook-signature` of a message.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
 * @param secret `whsec_` and the base64 of the key
 */
export function signatureOf(secret: string, { id, timestampS, body }: SignedMessage): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestampS}.${body}`).digest('base64')}`;
}
