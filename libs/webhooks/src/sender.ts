import {
  Egress,
  type EgressPolicy,
  guardedConnector,
  type HostLookup,
  lookupBySystem,
  TrustStore,
  ConnectFailure,
} from '#registry';
import { type Bytes, type Clock, KilnError, messageOf } from '#std';
import { Client } from 'undici';
import { parseRetryAfter } from './retry-schedule.ts';
import { signatureOf } from './sign.ts';

export interface SenderOptions {
  /** private addresses that receivers may have */
  readonly egress: EgressPolicy;
  readonly clock: Clock;
  /** name resolution; the system's by default */
  readonly lookup?: HostLookup | undefined;
  /** of a whole try */
  readonly timeoutMs?: number | undefined;
}

export interface Message {
  readonly id: string;
  readonly url: string;
  /** `whsec_…`, each of which signs: the receiver may know one of them */
  readonly secrets: readonly string[];
  readonly body: string;
}

/** What came of a try. */
export interface Outcome {
  readonly atMs: number;
  /** null: there was no answer */
  readonly status: number | null;
  readonly durationMs: number;
  /** the beginning of the answer's body */
  readonly response: string;
  /** null: it was taken */
  readonly error: string | null;
  /** what the receiver asks to be waited before the next try; null where it does not say */
  readonly retryAfterMs: number | null;
}

const TIMEOUT_MS = 15_000;
const RESPONSE_BYTES = 1_024;
const ERROR_LENGTH = 1_024;

/**
 * Posts messages to their receivers. Each try has a connection of its own, to an address that the egress rules allow as it is made;
 * redirects are not followed.
 */
export class WebhookSender {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #connect: ReturnType<typeof guardedConnector>;

  /** @throws KilnError INVALID_ARGUMENT for an egress rule that is none */
  constructor({ egress, clock, lookup = lookupBySystem, timeoutMs = TIMEOUT_MS }: SenderOptions) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#connect = guardedConnector({ egress: new Egress(egress), lookup, trust: new TrustStore([]), timeoutMs });
  }

  /** Whatever the receiver does is an outcome. @throws the signal's reason */
  async send(message: Message, signal: AbortSignal): Promise<Outcome> {
    const atMs = this.#clock.nowMs();
    const late = AbortSignal.timeout(this.#timeoutMs);
    try {
      const { status, response, retryAfter } = await this.#post(message, atMs, AbortSignal.any([signal, late]));
      const error = status >= 200 && status < 300 ? null : refusal(status);
      const nowMs = this.#clock.nowMs();
      const retryAfterMs = error === null ? null : parseRetryAfter(retryAfter, nowMs);
      return { atMs, status, durationMs: nowMs - atMs, response, error, retryAfterMs };
    } catch (thrown) {
      signal.throwIfAborted();
      const error = late.aborted ? `no answer within ${this.#timeoutMs / 1_000} s` : told(thrown);
      return { atMs, status: null, durationMs: this.#clock.nowMs() - atMs, response: '', error, retryAfterMs: null };
    }
  }

  async #post({ id, url: text, secrets, body }: Message, atMs: number, signal: AbortSignal) {
    const url = new URL(text);
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new KilnError('INVALID_ARGUMENT', 'the URL is not one of the web');
    const timestampS = Math.floor(atMs / 1_000);
    const client = new Client(url.origin, { connect: this.#connect });
    try {
      const answer = await client.request({
        method: 'POST',
        path: `${url.pathname}${url.search}`,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'kiln',
          'webhook-id': id,
          'webhook-timestamp': String(timestampS),
          'webhook-signature': secrets.map((secret) => signatureOf(secret, { id, timestampS, body })).join(' '),
        },
        body,
        signal,
      });
      const retryAfter = answer.headers['retry-after'];
      return { status: answer.statusCode, response: await beginning(answer.body), retryAfter };
    } finally {
      await client.destroy();
    }
  }
}

/** As much of it as is kept. An answer that breaks off after its status is one all the same. */
async function beginning(body: Bytes): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.byteLength;
      if (size >= RESPONSE_BYTES) break;
    }
  } catch {
    // The status has been told.
  }
  return storable(Buffer.concat(chunks).subarray(0, RESPONSE_BYTES).toString('utf8'));
}

/** A database holds no NUL. */
const storable = (text: string): string => text.replaceAll('\0', '\uFFFD');

function refusal(status: number): string {
  return status >= 300 && status < 400 ? `status ${status}: redirects are not followed` : `status ${status}`;
}

/** Nothing of what an address that is not allowed is. */
function told(thrown: unknown): string {
  if (thrown instanceof ConnectFailure && thrown.kind === 'forbidden')
    return 'its address is loopback or private, and the farm’s KILN_WEBHOOK_ALLOW does not have it';
  // A certificate that is not the host's is told with all the names that it has.
  return storable(messageOf(thrown).slice(0, ERROR_LENGTH));
}
