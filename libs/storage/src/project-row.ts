import type { ProjectView } from '#protocol';
import { z } from 'zod';

export const ProjectRow = z.object({ name: z.string(), team: z.string(), created_at: z.date() });

export const projectView = ({ created_at: createdAt, ...row }: z.infer<typeof ProjectRow>): ProjectView => ({
  ...row,
  createdAt: createdAt.toISOString(),
});

/** A page of rows of which one more than asked for was read. */
export function paged<T extends { readonly name: string }>(rows: readonly T[], limit: number) {
  const page = rows.slice(0, limit);
  return { page, next: rows.length > limit ? (page.at(-1)?.name ?? null) : null };
}
