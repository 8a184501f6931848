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

const Answer = z.object({ yes: z.boolean() });

/** The farm's builders, as they tell of themselves. */
export class BuilderRegistry {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** A builder process has begun, with room for so many builds at a time. */
  async register(
    id: string,
    { pid, slots = 1 }: { readonly pid?: number; readonly slots?: number } = {},
  ): Promise<void> {
    await this.#db.execute(
      `INSERT INTO builders (id, state, pid, slots) VALUES ($1, 'ready', $2, $3)
       ON CONFLICT (id) DO UPDATE SET state = 'ready', pid = excluded.pid, slots = excluded.slots, started_at = now(),
         heartbeat_at = now()`,
      [id, pid ?? null, slots],
    );
  }

  async heartbeat(id: string, state: BuilderState): Promise<void> {
    await this.#db.execute('UPDATE builders SET state = $2, heartbeat_at = now() WHERE id = $1', [id, state]);
  }

  /** Whether another builder, heard of within `withinMs`, has room and runs fewer builds than `running`. */
  async hasFreer(id: string, running: number, withinMs: number): Promise<boolean> {
    const [answer] = await this.#db.query(
      Answer,
      `SELECT EXISTS (
         SELECT FROM builders o CROSS JOIN LATERAL (
           SELECT count(*) AS running FROM builds WHERE owner = o.id AND state = 'running'
         ) busy
         WHERE o.id <> $1 AND o.state = 'ready' AND o.heartbeat_at > now() - $3 * interval '1 millisecond'
           AND busy.running < least(o.slots, $2)
       ) AS yes`,
      [id, running, withinMs],
    );
    return answer?.yes === true;
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
