import { z } from 'zod';
import { BuildEvent, type NumberedEvent } from '#protocol';
import { bigintColumn, type Sql } from './database.ts';
import { foldSteps } from './fold-steps.ts';

export interface NumberedBatch {
  readonly projectId: string;
  readonly buildId: string;
  /** number of the first */
  readonly firstSeq: number;
  readonly events: readonly BuildEvent[];
}

/** Stores events under numbers that were drawn in the same transaction, and folds them into the steps. */
export async function writeEvents(sql: Sql, batch: NumberedBatch): Promise<void> {
  const { projectId, buildId, firstSeq, events } = batch;
  await sql.execute(
    `INSERT INTO build_events (project_id, build_id, seq, type, payload)
     SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::json[])`,
    [
      projectId,
      buildId,
      events.map((_, index) => firstSeq + index),
      events.map((event) => event.type),
      events.map((event) => JSON.stringify(event)),
    ],
  );
  await foldSteps(sql, batch, events);
}

const EventRow = z.object({ seq: bigintColumn, payload: BuildEvent });

/** Events after a number, in order, at most `limit`. */
export async function readEvents(
  sql: Sql,
  buildId: string,
  afterSeq: number,
  limit: number,
): Promise<readonly NumberedEvent[]> {
  const rows = await sql.query(
    EventRow,
    'SELECT seq, payload FROM build_events WHERE build_id = $1 AND seq > $2 ORDER BY seq LIMIT $3',
    [buildId, afterSeq, limit],
  );
  return rows.map(({ seq, payload }) => ({ seq, event: payload }));
}

const PayloadRow = z.object({ text: z.string() });

/** Whether exactly these events stand under these numbers: a commit whose answer was lost. */
export async function holdsBatch(sql: Sql, { buildId, firstSeq, events }: NumberedBatch): Promise<boolean> {
  const rows = await sql.query(
    PayloadRow,
    'SELECT payload::text AS text FROM build_events WHERE build_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq',
    [buildId, firstSeq, firstSeq + events.length],
  );
  return rows.length === events.length && rows.every(({ text }, index) => text === JSON.stringify(events[index]));
}
