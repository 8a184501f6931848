import { createHash } from 'node:crypto';
import { type Clock, type Random, randomId } from '#std';
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
}

/** How long somebody may take at the issuer. */
export const FLOW_MS = 10 * 60_000;
const SECRET_LENGTH = 40;
/** Anybody can begin one: the oldest make room. */
const MAX_FLOWS = 10_000;
const Row = z.object({ return_to: z.string(), project: z.string().nullable() });

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** People on their way to an issuer and back. Each way is gone once, by the browser that began it. */
export class SignInFlows {
  readonly #options: SignInFlowsOptions;

  constructor(options: SignInFlowsOptions) {
    this.#options = options;
  }

  async begin({ to, project }: SignInGoal): Promise<BegunFlow> {
    const { db, random, clock } = this.#options;
    const [state, browser] = [randomId(random, SECRET_LENGTH), randomId(random, SECRET_LENGTH)];
    await db.execute(
      `WITH room AS (
         DELETE FROM sign_in_flows WHERE sha256 IN (SELECT sha256 FROM sign_in_flows ORDER BY expires_at DESC OFFSET $6))
       INSERT INTO sign_in_flows (sha256, browser_sha256, return_to, project, expires_at) VALUES ($1, $2, $3, $4, $5)`,
      [hashOf(state), hashOf(browser), to, project, new Date(clock.nowMs() + FLOW_MS), MAX_FLOWS - 1],
    );
    return { state, browser };
  }

  /** Uses it up; undefined where it was used, has ended, or another browser began it. */
  async take({ state, browser }: BegunFlow): Promise<SignInGoal | undefined> {
    const [row] = await this.#options.db.query(
      Row,
      `DELETE FROM sign_in_flows WHERE sha256 = $1 AND browser_sha256 = $2 AND expires_at > now()
       RETURNING return_to, project`,
      [hashOf(state), hashOf(browser)],
    );
    return row === undefined ? undefined : { to: row.return_to, project: row.project };
  }

  async sweep(): Promise<void> {
    await this.#options.db.execute('DELETE FROM sign_in_flows WHERE expires_at < now()');
  }
}
