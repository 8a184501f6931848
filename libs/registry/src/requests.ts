import type { Clock } from '#std';
import type { Reply } from './http.ts';
import { RegistryError } from './registry-error.ts';
import { type Asked, statusFailure } from './status-failure.ts';
import type { Call, Transport } from './transport.ts';

/** What a call is for, and which answers are good ones. */
export interface Expectation {
  /** for the person: `the image node:20` */
  readonly subject: string;
  readonly kind: Asked['kind'];
  readonly expect: readonly number[];
}

/** Calls whose answers are what was expected, or failures that say what happened. */
export class Requests {
  constructor(
    readonly transport: Transport,
    readonly clock: Clock,
  ) {}

  /** @throws RegistryError for every other status */
  async ask(call: Call, { subject, kind, expect }: Expectation): Promise<Reply> {
    const { endpoint } = call;
    const { authorizer } = this.transport;
    let reply: Reply;
    try {
      reply = await this.transport.send(call);
    } catch (thrown) {
      throw thrown instanceof RegistryError ? thrown.about(subject) : thrown;
    }
    if (expect.includes(reply.status)) return reply;
    throw await statusFailure(reply, {
      endpoint,
      subject,
      kind,
      standing: await authorizer.standing(endpoint),
      nowMs: this.clock.nowMs(),
      redact: authorizer.redact,
    });
  }
}
