import { z } from 'zod';
import { parsePlatform, runsOn } from '#oci';
import { bigintColumn, type Database } from './database.ts';

export const BuilderState = z.enum(['ready', 'draining', 'stopped']);
export type BuilderState = z.infer<typeof BuilderState>;

export interface BuilderInfo {
  readonly id: string;
  readonly state: BuilderState;
  readonly pid: number | null;
  readonly heartbeatAt: Date;
  /** that its processor runs, its own first; as `os/architecture[/variant]` */
  readonly platforms: readonly string[];
  /** that it emulates */
  readonly emulated: readonly string[];
  /** builds at a time */
  readonly slots: number;
  /** builds and parts of builds that it works on */
  readonly running: number;
}

/** What a builder tells of itself when it begins. */
export interface BuilderRegistration {
  readonly pid?: number;
  /** builds at a time */
  readonly slots?: number;
  readonly platforms?: readonly string[];
  readonly emulated?: readonly string[];
}

const Row = z.object({
  id: z.string(),
  state: BuilderState,
  pid: z.int().nullable(),
  heartbeat_at: z.date(),
  platforms: z.array(z.string()),
  emulated: z.array(z.string()),
  slots: z.int(),
  running: bigintColumn,
});

const Answer = z.object({ yes: z.boolean() });
const First = z.object({ platform: z.string() });

/** The farm's builders, as they tell of themselves. */
export class BuilderRegistry {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** A builder process has begun, with room for so many builds at a time. */
  async register(
    id: string,
    { pid, slots = 1, platforms = [], emulated = [] }: BuilderRegistration = {},
  ): Promise<void> {
    await this.#db.execute(
      `INSERT INTO builders (id, state, pid, slots, platforms, emulated) VALUES ($1, 'ready', $2, $3, $4, $5)
       ON CONFLICT (id) DO UPDATE SET state = 'ready', pid = excluded.pid, slots = excluded.slots, started_at = now(),
         heartbeat_at = now(), platforms = excluded.platforms, emulated = excluded.emulated`,
      [id, pid ?? null, slots, platforms, emulated],
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

  /**
   * Those heard of within `withinMs`.
   * @param projectId of this project alone it is counted what they work on
   */
  async list(withinMs: number, projectId: string | null = null): Promise<readonly BuilderInfo[]> {
    const rows = await this.#db.query(
      Row,
      `SELECT id, state, pid, heartbeat_at, platforms, emulated, slots,
         (SELECT count(*) FROM builds WHERE owner = builders.id AND state = 'running'
           AND ($2::text IS NULL OR project_id = $2)) AS running FROM builders
       WHERE heartbeat_at > now() - $1 * interval '1 millisecond' ORDER BY id`,
      [withinMs, projectId],
    );
    return rows.map(({ heartbeat_at: heartbeatAt, ...row }) => ({ ...row, heartbeatAt }));
  }

  /** Who should run what is for a platform: by its processor before by emulation, then who has the least to do. */
  async fittest(platform: string, withinMs: number): Promise<string | null> {
    const wanted = parsePlatform(platform);
    const fits = (names: readonly string[]): boolean => names.some((name) => runsOn(parsePlatform(name), wanted));
    const ready = (await this.list(withinMs)).filter(({ state }) => state === 'ready');
    const native = ready.filter(({ platforms }) => fits(platforms));
    const fit = native.length > 0 ? native : ready.filter(({ emulated }) => fits(emulated));
    return fit.toSorted((a, b) => a.running - b.running)[0]?.id ?? null;
  }

  /**
   * What builds are for that do not say it, and where their own tools run: the same whoever takes them, also while some
   * builders are away for a moment.
   */
  async defaultPlatform(): Promise<string | null> {
    const [first] = await this.#db.query(
      First,
      `SELECT platforms[1] AS platform FROM builders
       WHERE cardinality(platforms) > 0 AND heartbeat_at > now() - interval '1 hour' ORDER BY 1 LIMIT 1`,
    );
    return first?.platform ?? null;
  }
}
