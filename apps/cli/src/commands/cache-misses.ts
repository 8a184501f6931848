import { type DearMiss, type DearMisses, DearMissesQuery, partsOf } from '#protocol';
import { readConfig } from '../config.ts';
import { hintLines } from '../explain/explanation-text.ts';
import { connect } from '../farm/connect.ts';
import { count, shortDuration } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';

export interface CacheMissesFlags {
  readonly days: string;
  readonly scope?: string;
  readonly project?: string;
  readonly limit: string;
  readonly json?: boolean;
  readonly data?: string;
}

/** `kiln cache misses`: which steps that ran cost most, why, and what to do about it. */
export async function cacheMisses({ days, scope, project, limit, json, data }: CacheMissesFlags): Promise<void> {
  const query = DearMissesQuery.safeParse({ days, scope, limit });
  if (!query.success) {
    const [issue] = query.error.issues;
    throw usageError(
      `--${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
      'kiln cache misses --help tells more',
    );
  }
  await using client = await connect(readConfig(process.env, data));
  const misses = await client.ofProject(project).dearMisses(query.data);
  process.stdout.write(json === true ? `${JSON.stringify(misses, null, 2)}\n` : dearMissesText(misses));
}

const clean = (text: string): string => cleanLine(text.replaceAll(/\s+/g, ' ').trim(), false);

/** For people. */
export function dearMissesText({ project, since, misses }: DearMisses): string {
  const head = `What steps that ran cost in the project ${clean(project)} since ${since}`;
  if (misses.length === 0) return `${head}: nothing.\n`;
  return `${[head, ...misses.flatMap((miss) => ['', ...missLines(miss)])].join('\n')}\n`;
}

function missLines({ step, dockerfile, misses, spentMs, last }: DearMiss): readonly string[] {
  const times = misses === 1 ? 'once' : `${count(misses)} times`;
  const line = ` ${shortDuration(spentMs)}  ${clean(step)}  (${clean(dockerfile)}, ${times})`;
  if (last === null) return [line];
  const below = last.isBelow ? `${clean(partsOf(last.because.name).text)} above it: ` : '';
  return [line, `       ${below}${clean(last.why)}  (build ${last.buildId})`, ...last.hints.flatMap(hintLines)];
}
