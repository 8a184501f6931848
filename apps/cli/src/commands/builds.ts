import type { BuildsClient } from '#client';
import { BuildFilter, type BuildView } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { shortDuration } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';
import { agoMs } from './until.ts';

export interface BuildsFlags {
  readonly json?: boolean;
  readonly limit: string;
  readonly project?: string;
  readonly filter?: readonly string[];
  readonly data?: string;
}

/** `kiln builds`: newest first. */
export async function builds(flags: BuildsFlags): Promise<void> {
  if (!/^[1-9]\d{0,3}$/.test(flags.limit)) throw usageError(`--limit is no number: ${JSON.stringify(flags.limit)}`);
  const filter = buildFilter(flags.filter ?? [], Date.now());
  await using client = await connect(readConfig(process.env, flags.data));
  const list = await newest(client.ofProject(flags.project), filter, Number(flags.limit));
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ builds: list }, null, 2)}\n`);
  else process.stdout.write(table([['BUILD', 'STATE', 'CREATED', 'TOOK', 'STEPS', 'TAGS'], ...list.map(row)]));
}

const KEYS = 'state, scope, image, branch, commit, author, text, step, cause, outcome, since and until';

/** What `--filter` asks for: of one key any value, of several keys all. */
export function buildFilter(filters: readonly string[], nowMs: number): BuildFilter {
  const given: Record<string, string[]> = {};
  for (const filter of filters) {
    const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(filter) ?? [];
    if (!Object.hasOwn(BuildFilter.shape, key) || value === '')
      throw usageError(`--filter ${JSON.stringify(filter)} is not supported`, `write key=value; keys are ${KEYS}`);
    (given[key] ??= []).push(value);
  }
  const one = (key: string, values: readonly string[] | undefined): Record<string, string> => {
    const [value, second] = values ?? [];
    if (second !== undefined) throw usageError(`--filter ${key} is given twice`);
    return value === undefined ? {} : { [key]: value };
  };
  const { since, until, text, step, cause, outcome, ...lists } = given;
  const at = (key: string, values: readonly string[] | undefined): Record<string, string> => {
    const [text, second] = values ?? [];
    if (text === undefined) return {};
    if (second !== undefined) throw usageError(`--filter ${key} is given twice`);
    return { [key]: new Date(nowMs - agoMs(text, nowMs, key)).toISOString() };
  };
  const parsed = BuildFilter.safeParse({
    ...lists,
    ...one('text', text),
    ...one('step', step),
    ...one('cause', cause),
    ...one('outcome', outcome),
    ...at('since', since),
    ...at('until', until),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw usageError(`--filter ${String(issue?.path[0] ?? '')}: ${issue?.message ?? ''}`, `keys are ${KEYS}`);
}

/** The farm gives pages of this many at most. */
const PAGE = 100;

async function newest(client: BuildsClient, filter: BuildFilter, limit: number): Promise<readonly BuildView[]> {
  const found: BuildView[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.builds({ ...filter, limit: Math.min(PAGE, limit - found.length), cursor });
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
  const { call, reference, tags } = request;
  return [
    id,
    state,
    createdAt.replace('T', ' ').slice(0, 19),
    took,
    // What has no steps by its nature is told by its kind.
    call === 'build' ? steps : call,
    cleanLine(reference ?? tags.join(' '), false) || '–',
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
