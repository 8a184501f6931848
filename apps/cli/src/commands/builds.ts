import type { KilnClient } from '#client';
import type { BuildView } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { shortDuration } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';

export interface BuildsFlags {
  readonly json?: boolean;
  readonly limit: string;
  readonly data?: string;
}

/** `kiln builds`: newest first. */
export async function builds(flags: BuildsFlags): Promise<void> {
  if (!/^[1-9]\d{0,3}$/.test(flags.limit)) throw usageError(`--limit is no number: ${JSON.stringify(flags.limit)}`);
  await using client = await connect(readConfig(process.env, flags.data));
  const list = await newest(client, Number(flags.limit));
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ builds: list }, null, 2)}\n`);
  else process.stdout.write(table([['BUILD', 'STATE', 'CREATED', 'TOOK', 'STEPS', 'TAGS'], ...list.map(row)]));
}

/** The farm gives pages of this many at most. */
const PAGE = 100;

async function newest(client: KilnClient, limit: number): Promise<readonly BuildView[]> {
  const found: BuildView[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.builds({ limit: Math.min(PAGE, limit - found.length), cursor });
    found.push(...page.builds);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && found.length < limit);
  return found;
}

function row(build: BuildView): readonly string[] {
  const { id, state, createdAt, startedAt, finishedAt, result, request } = build;
  const took =
    startedAt === null || finishedAt === null ? '–' : shortDuration(Date.parse(finishedAt) - Date.parse(startedAt));
  const steps = result === null ? '–' : `${result.steps.hit}/${result.steps.total} hit`;
  return [
    id,
    state,
    createdAt.replace('T', ' ').slice(0, 19),
    took,
    steps,
    cleanLine(request.tags.join(' '), false) || '–',
  ];
}

/** Columns as wide as what is in them. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const cells of rows) for (const [i, cell] of cells.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map(
      (cells) =>
        `${cells
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
