import { readsTeam } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import type { Database } from './database.ts';
import type { Principal } from './principal.ts';

/** More are not told of together; each is still found by its name. */
const MAX_TOGETHER = 1_000;
const ProjectRow = z.object({ id: z.string(), name: z.string() });

export interface ReadableProject {
  readonly projectId: string;
  readonly project: string;
}

/** Whose builds and figures a caller reads: those of his own project, and who {@link readsTeam} those of the team's others. */
export class ReadableProjects {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @throws KilnError NOT_FOUND, the same for one that is not there and for one that he may not read */
  async find(caller: Principal, name: string | undefined): Promise<ReadableProject> {
    const { projectId, project, teamId } = caller;
    if (name === undefined || name === project) return { projectId, project };
    const [row] = readsTeam(caller)
      ? await this.#db.query(ProjectRow, 'SELECT id, name FROM projects WHERE name = $1 AND team_id = $2', [
          name,
          teamId,
        ])
      : [];
    if (row === undefined)
      throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(name)}`, {
        field: 'project',
        hint: 'a member’s own token of a branch or of what is trusted further reads the projects of his team',
      });
    return { projectId: row.id, project: row.name };
  }

  /** The ids of all, by their names. */
  async all(caller: Principal): Promise<readonly string[]> {
    if (!readsTeam(caller)) return [caller.projectId];
    const rows = await this.#db.query(
      ProjectRow,
      'SELECT id, name FROM projects WHERE team_id = $1 ORDER BY name LIMIT $2',
      [caller.teamId, MAX_TOGETHER],
    );
    return rows.map(({ id }) => id);
  }
}
