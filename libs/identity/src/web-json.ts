import type { EgressPolicy } from '#registry';
import { KilnError, messageOf } from '#std';
import { GuardedWeb } from './guarded-web.ts';

/** Small documents of issuers. */
export class WebJson implements AsyncDisposable {
  readonly #web: GuardedWeb;

  constructor(egress: EgressPolicy) {
    this.#web = new GuardedWeb(egress);
  }

  /** @throws KilnError UNAVAILABLE */
  async text(url: string): Promise<string> {
    try {
      const { status, body } = await this.#web.ask(url);
      if (status === 200) return body.toString('utf8');
      throw new Error(`it answered with status ${status}`);
    } catch (cause) {
      throw unavailable(url, messageOf(cause), cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#web[Symbol.asyncDispose]();
  }
}

export function unavailable(url: string, why: string, cause?: unknown): KilnError {
  // Anybody can have it asked: what stands in the way is for the log alone.
  return new KilnError('UNAVAILABLE', 'the issuer of the id token cannot be asked for its keys', {
    cause: new Error(`${url}: ${why}`, { cause }),
    hint: 'try again; issuers with a private address have to be in KILN_OIDC_EGRESS_ALLOW',
  });
}
