import type { Clock } from '#std';
import type { Reply } from './http.ts';
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
    const reply = await this.transport.send(call);
    if (expect.includes(reply.status)) return reply;
    throw await statusFailure(reply, {
      endpoint: call.endpoint,
      subject,
      kind,
      nowMs: this.clock.nowMs(),
      redact: this.transport.authorizer.redact,
    });
  }
}
