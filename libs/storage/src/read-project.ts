import type { ProjectView } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import type { Database } from './database.ts';
import type { Principal } from './principal.ts';
import { sentBytes } from './sent-blobs.ts';

/** A project, and what of it its own people set or use up. */
export interface ProjectState extends ProjectView {
  readonly showsBadge: boolean;
  readonly sentBytes: number;
  readonly maxRunning: number | null;
  readonly maxQueued: number;
}

const Row = z.object({
  name: z.string(),
  team: z.string(),
  created_at: z.date(),
  public_badge: z.boolean(),
  max_running: z.int().nullable(),
  max_queued: z.int(),
});

/** The caller's own project. @throws KilnError NOT_FOUND for another */
export async function readProject(db: Database, caller: Principal, project: string): Promise<ProjectState> {
  const [row] =
    project !== caller.project
      ? []
      : await db.query(
          Row,
          `SELECT p.name, t.name AS team, p.created_at, p.public_badge, p.max_running, p.max_queued
           FROM projects p JOIN teams t ON t.id = p.team_id WHERE p.id = $1`,
          [caller.projectId],
        );
  if (row === undefined)
    throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(project)} for this token`);
  const { name, team } = row;
  return {
    ...{ name, team, createdAt: row.created_at.toISOString(), showsBadge: row.public_badge },
    ...{ maxRunning: row.max_running, maxQueued: row.max_queued },
    sentBytes: await sentBytes(db, caller.projectId),
  };
}
