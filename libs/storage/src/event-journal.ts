import { z } from 'zod';
import type { BuildEvent } from '#protocol';
import { bigintColumn, type Sql } from './database.ts';
import { foldSteps } from './fold-steps.ts';
import { noteImageSteps } from './image-steps.ts';

export interface NumberedBatch {
  readonly projectId: string;
  readonly buildId: string;
  /** number of the first */
  readonly firstSeq: number;
  readonly events: readonly BuildEvent[];
}

/** Stores events under numbers that were drawn in the same transaction, and folds them into the steps and images. */
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
  await noteImageSteps(sql, buildId, events);
}

const PayloadRow = z.object({ text: z.string() });
const ArchivedTo = z.object({ seq: bigintColumn.nullable() });

/** Whether exactly these events stand under these numbers: a commit whose answer was lost. Only under the fence that drew them. */
export async function holdsBatch(sql: Sql, { buildId, firstSeq, events }: NumberedBatch): Promise<boolean> {
  const [archived] = await sql.query(
    ArchivedTo,
    'SELECT max(last_seq) AS seq FROM event_archives WHERE build_id = $1',
    [buildId],
  );
  const rows = await sql.query(
    PayloadRow,
    'SELECT payload::text AS text FROM build_events WHERE build_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq',
    [buildId, firstSeq, firstSeq + events.length],
  );
  // Nobody else draws numbers under the fence: what has been archived under these was theirs.
  const gone = Math.min(Math.max((archived?.seq ?? 0) - firstSeq + 1, 0), events.length);
  return (
    gone + rows.length === events.length &&
    rows.every(({ text }, index) => text === JSON.stringify(events[gone + index]))
  );
}

/** What a batch of events adds to `builds.loose_bytes`. */
export function looseBytesOf(events: readonly BuildEvent[]): number {
  return events.reduce((sum, event) => sum + JSON.stringify(event).length, 0);
}
