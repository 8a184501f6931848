import { createHash } from 'node:crypto';
import { type Clock, isKilnError, type Random, randomId, seal, unseal } from '#std';
import { z } from 'zod';
import type { Database } from './database.ts';

/** Where somebody goes who signs in. */
export interface SignInGoal {
  readonly to: string;
  /** null: whichever is his */
  readonly project: string | null;
}

/** Told once: the issuer gives `state` back, and the browser keeps the other. */
export interface BegunFlow {
  readonly state: string;
  readonly browser: string;
}

export interface SignInFlowsOptions {
  readonly db: Database;
  readonly random: Random;
  readonly clock: Clock;
  /** the farm's */
  readonly key: Uint8Array;
}

/** How long somebody may take at the issuer. */
export const FLOW_MS = 10 * 60_000;
/** Of what the browser keeps: cookies have 4 KiB, with name and attributes. */
export const MAX_FLOW_CHARS = 3_800;
const SECRET_LENGTH = 40;
const PURPOSE = 'sign-in flow';
/** Of ways that were gone to their end: the oldest make room. */
const MAX_USED = 10_000;
const Flow = z.object({ state: z.string(), to: z.string(), project: z.string().nullable(), endsAtMs: z.number() });
type Flow = z.infer<typeof Flow>;

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/**
 * People on their way to an issuer and back. Each way is gone once, by the browser that began it. What there is to know of a way
 * is sealed in what that browser keeps: anybody can begin one, and whoever begins many takes nobody's room. Rows are of ways that
 * have been gone.
 */
export class SignInFlows {
  readonly #options: SignInFlowsOptions;

  constructor(options: SignInFlowsOptions) {
    this.#options = options;
  }

  begin({ to, project }: SignInGoal): BegunFlow {
    const { random, clock } = this.#options;
    const state = randomId(random, SECRET_LENGTH);
    const flow = { state, to, project, endsAtMs: clock.nowMs() + FLOW_MS };
    const browser = this.#sealed(flow);
    // Rather the first page than none.
    return { state, browser: browser.length > MAX_FLOW_CHARS ? this.#sealed({ ...flow, to: '/' }) : browser };
  }

  /** Uses it up; undefined where it was used, has ended, or another browser began it. */
  async take({ state, browser }: BegunFlow): Promise<SignInGoal | undefined> {
    const { db, clock } = this.#options;
    const flow = this.#opened(browser);
    if (flow?.state !== state || flow.endsAtMs <= clock.nowMs()) return undefined;
    const { to, project, endsAtMs } = flow;
    const taken = await db.execute(
      `WITH room AS (
         DELETE FROM sign_in_flows WHERE sha256 IN (SELECT sha256 FROM sign_in_flows ORDER BY expires_at DESC OFFSET $6))
       INSERT INTO sign_in_flows (sha256, browser_sha256, return_to, project, expires_at) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT DO NOTHING`,
      [hashOf(state), hashOf(browser), to, project, new Date(endsAtMs), MAX_USED - 1],
    );
    return taken === 0 ? undefined : { to, project };
  }

  async sweep(): Promise<void> {
    await this.#options.db.execute('DELETE FROM sign_in_flows WHERE expires_at < now()');
  }

  #sealed(flow: Flow): string {
    const { key, random } = this.#options;
    return seal(key, PURPOSE, Buffer.from(JSON.stringify(flow)), random).toString('base64url');
  }

  #opened(browser: string): Flow | undefined {
    try {
      const plain = unseal(this.#options.key, PURPOSE, Buffer.from(browser, 'base64url'));
      return Flow.parse(JSON.parse(plain.toString()));
    } catch (thrown) {
      if (isKilnError(thrown, 'PERMISSION_DENIED')) return undefined;
      throw thrown;
    }
  }
}
