import { Egress, type EgressPolicy, guardedConnector, lookupBySystem, TrustStore } from '#registry';
import { collect, KilnError, messageOf } from '#std';
import { Agent, request } from 'undici';

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const CONNECTIONS_PER_HOST = 4;

/** Small documents of issuers: bounded in time and size, without redirects, from nowhere that the egress rules forbid. */
export class WebJson implements AsyncDisposable {
  readonly #agent: Agent;

  constructor(egress: EgressPolicy) {
    this.#agent = new Agent({
      connections: CONNECTIONS_PER_HOST,
      connect: guardedConnector({
        egress: new Egress(egress),
        lookup: lookupBySystem,
        trust: new TrustStore([]),
        timeoutMs: TIMEOUT_MS,
      }),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
  }

  /** @throws KilnError UNAVAILABLE */
  async text(url: string): Promise<string> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const answer = await request(url, {
        dispatcher: this.#agent,
        headers: { accept: 'application/json', 'user-agent': 'kiln' },
        signal,
      });
      if (answer.statusCode === 200) return (await collect(answer.body, MAX_BYTES)).toString('utf8');
      await answer.body.dump();
      throw new Error(`it answered with status ${answer.statusCode}`);
    } catch (cause) {
      throw unavailable(url, messageOf(cause), cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}

export function unavailable(url: string, why: string, cause?: unknown): KilnError {
  // Anybody can have it asked: what stands in the way is for the log alone.
  return new KilnError('UNAVAILABLE', 'the issuer of the id token cannot be asked for its keys', {
    cause: new Error(`${url}: ${why}`, { cause }),
    hint: 'try again; issuers with a private address have to be in KILN_OIDC_EGRESS_ALLOW',
  });
}
