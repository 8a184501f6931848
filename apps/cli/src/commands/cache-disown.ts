import { type CacheDisowned, findStep } from '#protocol';
import { confirm } from '../confirm.ts';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { count, size } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { table } from './builds.ts';

export interface DisownFlags {
  readonly step?: string;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly data?: string;
}

/** `kiln cache disown BUILD`: what it made is never used again; who used it is told. */
export async function cacheDisown(buildId: string, flags: DisownFlags): Promise<void> {
  const { step, reason, dryRun = false, force, json, data } = flags;
  await using client = await connect(readConfig(process.env, data));
  const vertex = step === undefined ? undefined : findStep(await client.steps(buildId), step, buildId).vertex;
  const request = { buildId, ...(vertex === undefined ? {} : { vertex }), ...(reason === undefined ? {} : { reason }) };
  if (!dryRun && force !== true) {
    const would = await client.disownCache({ ...request, dryRun: true });
    process.stderr.write(disownedText(would, true));
    await confirm('These results are never used again.');
  }
  const disowned = await client.disownCache({ ...request, dryRun });
  process.stdout.write(json === true ? `${JSON.stringify(disowned, null, 2)}\n` : disownedText(disowned, dryRun));
}

const NAME_LENGTH = 60;

/** For people. */
export function disownedText(disowned: CacheDisowned, dryRun: boolean): string {
  const { results, otherResults, protectedResults, builds, otherBuilds } = disowned;
  const short = (text: string): string => {
    const clean = cleanLine(text, false);
    return clean.length > NAME_LENGTH ? `${clean.slice(0, NAME_LENGTH - 1)}…` : clean;
  };
  const steps = results.map(({ name, scope, bytes, buildId }) => [
    short(name),
    cleanLine(scope, false),
    size(bytes),
    buildId,
  ]);
  const users = builds.map(({ id, state, scope, createdAt, names, digest }) => [
    ...[id, state, cleanLine(scope, false), createdAt.replace('T', ' ').slice(0, 19)],
    cleanLine(names.join(' '), false) || (digest ?? '–'),
  ]);
  const all = results.length + otherResults;
  const used = builds.length + otherBuilds;
  const running = builds.filter(({ state }) => state === 'running').length;
  return [
    ...(steps.length === 0 ? [] : [`${table([['RESULT OF', 'SCOPE', 'SIZE', 'MADE BY'], ...steps])}\n`]),
    ...(users.length === 0 ? [] : [`${table([['USED BY', 'STATE', 'SCOPE', 'CREATED', 'IMAGE'], ...users])}\n`]),
    `${plural(all, 'result')} ${dryRun ? 'would be' : all === 1 ? 'is' : 'are'} disowned; ${plural(used, 'build')} used ${all === 1 ? 'it' : 'them'}\n`,
    ...(protectedResults === 0
      ? []
      : [`${plural(protectedResults, 'result')} in scopes that are trusted further stay: use a token of theirs\n`]),
    ...(running === 0
      ? []
      : [`${plural(running, 'build')} still running may end with what was found: kiln cancel BUILD\n`]),
    ...(used === 0 || dryRun ? [] : ['images that were pushed stay where they are: build them again\n']),
  ].join('');
}

const plural = (n: number, what: string): string => `${count(n)} ${what}${n === 1 ? '' : 's'}`;
