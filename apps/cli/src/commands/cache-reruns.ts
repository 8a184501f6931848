import { type CacheReruns, CacheRerunsQuery, type StepReruns } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { count } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { table } from './builds.ts';
import type { CacheMissesFlags } from './cache-misses.ts';
import { parseQuery } from './parse-query.ts';

/** `kiln cache reruns`: which steps gave the same bytes when they ran again, and which did not. */
export async function cacheReruns({ days, scope, project, limit, json, data }: CacheMissesFlags): Promise<void> {
  const query = parseQuery(CacheRerunsQuery, { days, scope, limit }, 'cache reruns');
  await using client = await connect(readConfig(process.env, data));
  const reruns = await client.ofProject(project).cacheReruns(query);
  process.stdout.write(json === true ? `${JSON.stringify(reruns, null, 2)}\n` : rerunsText(reruns));
}

const NAME_LENGTH = 60;
const clean = (text: string): string => cleanLine(text.replaceAll(/\s+/g, ' ').trim(), false);

/** For people. */
export function rerunsText({ project, since, total, steps, more }: CacheReruns): string {
  const head = `Steps that ran again in the project ${clean(project)} since ${since}`;
  const runs = total.same + total.different;
  if (runs === 0) return `${head}: none.\n`;
  const sum = `${count(total.same)} of ${count(runs)} runs gave the same bytes; ${count(total.differing)} of ${count(total.steps)} steps did not always.`;
  const rows = [['STEP', 'SAME', 'OTHER', 'LAST OTHER', 'COMPARED WITH'], ...steps.map(row)];
  return `${head}\n${sum}\n\n${table(rows)}${more ? '…\n' : ''}`;
}

function row({ step, same, different, last }: StepReruns): readonly string[] {
  const name = clean(step);
  const short = name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH - 1)}…` : name;
  return [short, count(same), count(different), last?.buildId ?? '', last?.earlierBuildId ?? ''];
}
