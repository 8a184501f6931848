import { parseReference } from '#oci';
import type { BuildFilter, StoredRequest } from '#protocol';
import { buildColumns, BuildRow, shownState, type StoredBuild, storedBuild } from './build-row.ts';
import { hasStep } from './count-build.ts';
import type { Database } from './database.ts';

export interface BuildPage {
  readonly limit: number;
  /** the build after which the page begins */
  readonly before?: string | undefined;
  readonly filter?: BuildFilter | undefined;
}

/** What of a build people look for. */
const searched = `concat_ws(' ', b.id, array_to_string(b.image_names, ' '), b.request->>'reference', b.source_branch, b.source_commit,
  b.source_author, b.request->'source'->>'message')`;

/** Builds of a project, the newest first, without the texts of Dockerfiles; `next` is the `before` of the next page. */
export async function listBuilds(
  db: Database,
  projectId: string,
  { limit, before, filter = {} }: BuildPage,
): Promise<{ readonly builds: readonly StoredBuild[]; readonly next: string | null }> {
  const { state, scope, image, since, until, branch, commit, author, text, step, cause, outcome } = filter;
  const rows = await db.query(
    BuildRow,
    `SELECT ${buildColumns} FROM builds b WHERE b.project_id = $1 AND b.parent_id IS NULL
       AND ($2::text IS NULL OR (b.created_at, b.id) < (SELECT created_at, id FROM builds WHERE project_id = $1 AND id = $2))
       AND ($4::text[] IS NULL OR ${shownState} = ANY ($4))
       AND ($5::text[] IS NULL OR b.scope_id IN (SELECT id FROM scopes WHERE project_id = $1 AND name = ANY ($5)))
       AND ($6::text[] IS NULL OR b.image_names && $6)
       AND ($7::timestamptz IS NULL OR b.created_at >= $7) AND ($8::timestamptz IS NULL OR b.created_at < $8)
       AND ($9::text[] IS NULL OR b.source_branch = ANY ($9))
       AND ($10::text[] IS NULL OR b.source_commit LIKE ANY ($10))
       AND ($11::text[] IS NULL OR b.source_author = ANY ($11))
       AND ($12::text IS NULL OR strpos(lower(${searched}), lower($12)) > 0)
       AND (num_nonnulls($13::text, $14::text, $15::text) = 0 OR ${hasStep({ step: 13, cause: 14, outcome: 15 })})
     ORDER BY b.created_at DESC, b.id DESC LIMIT $3`,
    [
      projectId,
      before ?? null,
      limit + 1,
      state ?? null,
      scope ?? null,
      image?.map(searchedName) ?? null,
      since ?? null,
      until ?? null,
      branch ?? null,
      commit?.map((digits) => `${digits}%`) ?? null,
      author ?? null,
      text ?? null,
      step ?? null,
      cause ?? null,
      outcome ?? null,
    ],
  );
  const page = rows.slice(0, limit).map(storedBuild);
  return { builds: page, next: rows.length > limit ? (page.at(-1)?.id ?? null) : null };
}

/** Under which names a build's images are found. */
export function imageNamesOf({ tags, outputs }: StoredRequest): readonly string[] {
  const own = outputs.flatMap((output) => (output.type === 'image' ? (output.names ?? []) : []));
  return [
    ...new Set(
      [...tags, ...own].map(parseReference).flatMap(({ registry, repository, tag }) => {
        const name = `${registry}/${repository}`;
        return tag === undefined ? [name] : [name, `${name}:${tag}`];
      }),
    ),
  ];
}

/** `app` stands for every tag of it. */
function searchedName(image: string): string {
  const { registry, repository, tag } = parseReference(image);
  const name = `${registry}/${repository}`;
  return image.lastIndexOf(':') > image.lastIndexOf('/') ? `${name}:${tag ?? ''}` : name;
}
