import { z } from 'zod';
import type { Database } from './database.ts';

export const BuilderState = z.enum(['ready', 'draining', 'stopped']);
export type BuilderState = z.infer<typeof BuilderState>;

export interface BuilderInfo {
  readonly id: string;
  readonly state: BuilderState;
  readonly pid: number | null;
  readonly heartbeatAt: Date;
}

const Row = z.object({ id: z.string(), state: BuilderState, pid: z.int().nullable(), heartbeat_at: z.date() });

/** The farm's builders, as they tell of themselves. */
export class BuilderRegistry {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** A builder process has begun. */
  async register(id: string, pid?: number): Promise<void> {
    await this.#db.execute(
      `INSERT INTO builders (id, state, pid) VALUES ($1, 'ready', $2)
       ON CONFLICT (id) DO UPDATE SET state = 'ready', pid = excluded.pid, started_at = now(), heartbeat_at = now()`,
      [id, pid ?? null],
    );
  }

  async heartbeat(id: string, state: BuilderState): Promise<void> {
    await this.#db.execute('UPDATE builders SET state = $2, heartbeat_at = now() WHERE id = $1', [id, state]);
  }

  /** Those heard of within `withinMs`. */
  async list(withinMs: number): Promise<readonly BuilderInfo[]> {
    const rows = await this.#db.query(
      Row,
      `SELECT id, state, pid, heartbeat_at FROM builders
       WHERE heartbeat_at > now() - $1 * interval '1 millisecond' ORDER BY id`,
      [withinMs],
    );
    return rows.map(({ heartbeat_at: heartbeatAt, ...row }) => ({ ...row, heartbeatAt }));
  }
}
