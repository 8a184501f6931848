import { z } from 'zod';
import { parsePlatform, runsOn } from '#oci';
import { KilnError } from '#std';
import { bigintColumn, type Database, type Sql } from './database.ts';

export const BuilderState = z.enum(['ready', 'draining', 'stopped']);
export type BuilderState = z.infer<typeof BuilderState>;

/** What others see of it: one that an operator drained is `drained` once nothing runs on it. */
const ShownState = z.enum([...BuilderState.options, 'drained']);

export interface BuilderInfo {
  readonly id: string;
  readonly state: z.infer<typeof ShownState>;
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
  state: ShownState,
  pid: z.int().nullable(),
  heartbeat_at: z.date(),
  platforms: z.array(z.string()),
  emulated: z.array(z.string()),
  slots: z.int(),
  running: bigintColumn,
});

const Answer = z.object({ yes: z.boolean() });
const Drained = z.object({ drained: z.boolean() });
const Standing = z.object({ drained: z.boolean(), started_at: z.date() });
const First = z.object({ platform: z.string() });

/** Of `builders`; what its builds belong to does not matter here. */
export const shownState = `CASE WHEN state <> 'ready' OR drained_at IS NULL THEN state
  WHEN EXISTS (SELECT FROM builds WHERE owner = builders.id AND builds.state = 'running') THEN 'draining' ELSE 'drained' END`;
const columns = (running: string): string => `id, ${shownState} AS state, pid, heartbeat_at, platforms, emulated, slots,
  (SELECT count(*) FROM builds WHERE owner = builders.id AND builds.state = 'running'${running}) AS running`;

/** Whether a builder may take what is new; holds that until the end of the transaction. */
export async function mayTake(sql: Sql, builderId: string): Promise<boolean> {
  const [row] = await sql.query(
    Drained,
    'SELECT drained_at IS NOT NULL AS drained FROM builders WHERE id = $1 FOR SHARE',
    [builderId],
  );
  return row?.drained !== true;
}

/** How a builder stands with the farm. */
export interface BuilderStanding {
  /** whether it may take builds: an operator may have drained it */
  readonly mayTake: boolean;
  /** when the builder began that has the name; undefined where it has been forgotten */
  readonly startedAtMs: number | undefined;
}

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
  ): Promise<BuilderStanding> {
    const [row] = await this.#db.query(
      Standing,
      `INSERT INTO builders (id, state, pid, slots, platforms, emulated) VALUES ($1, 'ready', $2, $3, $4, $5)
       ON CONFLICT (id) DO UPDATE SET state = 'ready', pid = excluded.pid, slots = excluded.slots, started_at = now(),
         heartbeat_at = now(), platforms = excluded.platforms, emulated = excluded.emulated
       RETURNING drained_at IS NOT NULL AS drained, started_at`,
      [id, pid ?? null, slots, platforms, emulated],
    );
    return standingOf(row);
  }

  async heartbeat(id: string, state: BuilderState): Promise<BuilderStanding> {
    const [row] = await this.#db.query(
      Standing,
      `UPDATE builders SET state = $2, heartbeat_at = now() WHERE id = $1
       RETURNING drained_at IS NOT NULL AS drained, started_at`,
      [id, state],
    );
    return standingOf(row);
  }

  /**
   * From when this returns, a drained builder takes no build, part or turn; what it has goes on. It stays so, whatever is started
   * anew, until it is undrained.
   * @throws KilnError NOT_FOUND
   */
  async drain(id: string, drained: boolean): Promise<BuilderInfo> {
    await this.#db.execute(
      'UPDATE builders SET drained_at = CASE WHEN $2 THEN coalesce(drained_at, now()) END WHERE id = $1',
      [id, drained],
    );
    const [row] = await this.#db.query(Row, `SELECT ${columns('')} FROM builders WHERE id = $1`, [id]);
    if (row === undefined)
      throw new KilnError('NOT_FOUND', `there is no builder ${JSON.stringify(id)}`, {
        hint: 'kiln builder ls shows those that were heard of a moment ago',
      });
    return infoOf(row);
  }

  /** Whether a builder that is heard of works on a build or part, whether it takes others or not. */
  async isAtWork(buildId: string, withinMs: number): Promise<boolean> {
    const [answer] = await this.#db.query(
      Answer,
      `SELECT EXISTS (SELECT FROM builds b JOIN builders o ON o.id = b.owner
         WHERE b.id = $1 AND b.state = 'running' AND o.heartbeat_at > now() - $2 * interval '1 millisecond') AS yes`,
      [buildId, withinMs],
    );
    return answer?.yes === true;
  }

  /** Whether another builder, heard of within `withinMs`, has room and runs fewer builds than `running`. */
  async hasFreer(id: string, running: number, withinMs: number): Promise<boolean> {
    const [answer] = await this.#db.query(
      Answer,
      `SELECT EXISTS (
         SELECT FROM builders o CROSS JOIN LATERAL (
           SELECT count(*) AS running FROM builds WHERE owner = o.id AND state = 'running'
         ) busy
         WHERE o.id <> $1 AND o.state = 'ready' AND o.drained_at IS NULL AND o.heartbeat_at > now() - $3 * interval '1 millisecond'
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
      `SELECT ${columns(' AND ($2::text IS NULL OR project_id = $2)')} FROM builders
       WHERE heartbeat_at > now() - $1 * interval '1 millisecond' ORDER BY id`,
      [withinMs, projectId],
    );
    return rows.map(infoOf);
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

const infoOf = ({ heartbeat_at: heartbeatAt, ...row }: z.infer<typeof Row>): BuilderInfo => ({ ...row, heartbeatAt });

const standingOf = (row: z.infer<typeof Standing> | undefined): BuilderStanding => ({
  mayTake: row?.drained !== true,
  startedAtMs: row?.started_at.getTime(),
});
