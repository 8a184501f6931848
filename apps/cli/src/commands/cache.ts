import type { KilnClient } from '#client';
import type { CachePruned, CachePruneRequest, CacheUsage, PrunedResult } from '#protocol';
import { formatBytes, parseByteSize } from '#std';
import { confirm } from '../confirm.ts';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { shortDuration } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';
import { table } from './builds.ts';
import { unusedMs } from './until.ts';

export interface CacheDuFlags {
  readonly json?: boolean;
  readonly data?: string;
}

export interface CachePruneFlags {
  readonly dryRun?: boolean;
  readonly keepStorage?: string;
  readonly all?: boolean;
  readonly filter?: readonly string[];
  readonly force?: boolean;
  readonly json?: boolean;
  readonly data?: string;
}

const kinds: Readonly<Record<CacheUsage['kinds'][number]['kind'], string>> = {
  layers: 'layers of steps and bases',
  forms: 'layers in other forms',
  sources: 'fetched files',
  mounts: 'cache mounts',
  logs: 'logs',
  kept: 'contexts and outputs',
  other: 'images’ documents',
};

/** `kiln cache du`: what takes room, by kind and by scope. */
export async function cacheDu(flags: CacheDuFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const usage = await client.cacheUsage();
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(usage, null, 2)}\n`);
    return;
  }
  const byKind = usage.kinds.map(({ kind, blobs, bytes }) => [kinds[kind], String(blobs), formatBytes(bytes)]);
  const byScope = usage.scopes.map(({ scope, results, bytes, sharedBytes }) => [
    scope,
    String(results),
    formatBytes(bytes),
    formatBytes(sharedBytes),
  ]);
  process.stdout.write(
    `${table([['KIND', 'BLOBS', 'SIZE'], ...byKind])}\n${table([['SCOPE', 'RESULTS', 'SIZE', 'SHARED'], ...byScope])}\n` +
      `Cache: ${formatBytes(usage.cacheBytes)} of ${formatBytes(usage.quotaBytes)}; all: ${formatBytes(usage.bytes)}\n`,
  );
}

/** `kiln cache prune`: as docker buildx prune, in the token's project. */
export async function cachePrune(flags: CachePruneFlags): Promise<void> {
  const request = requestOf(flags, Date.now());
  if (!request.dryRun && flags.force !== true) {
    const what = request.all
      ? 'all build cache of the project, fetched files included'
      : 'the build cache of the project';
    await confirm(`This removes ${what}, save what running builds use.`);
  }
  await using client = await connect(readConfig(process.env, flags.data));
  const pruned = await all(client, request);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(pruned, null, 2)}\n`);
  else process.stdout.write(described(pruned, request.dryRun));
}

/** What the flags ask for. @throws KilnError INVALID_ARGUMENT */
export function requestOf(flags: CachePruneFlags, nowMs: number): CachePruneRequest {
  const { dryRun = false, all = false, keepStorage } = flags;
  const keepStorageBytes = keepStorage === undefined ? undefined : parseByteSize(keepStorage);
  if (keepStorage !== undefined && keepStorageBytes === undefined) {
    throw usageError(`--keep-storage is no size: ${JSON.stringify(keepStorage)}`, 'write it as 10gb or 512mb');
  }
  const base = { dryRun, all, unusedMs: unusedMs(flags.filter ?? [], nowMs) };
  return keepStorageBytes === undefined ? base : { ...base, keepStorageBytes };
}

/** Answer by answer; what would go is told of the first alone. */
async function all(client: KilnClient, request: CachePruneRequest): Promise<CachePruned> {
  let pruned = await client.pruneCache(request);
  while (pruned.more && !request.dryRun) {
    const next = await client.pruneCache(request);
    const results = [...pruned.results, ...next.results];
    pruned = { ...next, results, others: pruned.others + next.others, bytesBefore: pruned.bytesBefore };
  }
  return pruned;
}

function described({ results, others, bytesBefore, bytesAfter, more }: CachePruned, dryRun: boolean): string {
  const head = ['STEP', 'SIZE', 'COST', 'USES', 'LAST USED', 'SAVES/MiB'];
  const list = results.length === 0 ? '' : `${table([head, ...results.map(row)])}\n`;
  const further = others === 0 ? '' : `and ${others} layers in other forms or fetched files\n`;
  const beyond = more && dryRun ? 'and more\n' : '';
  const freed = formatBytes(bytesBefore - bytesAfter);
  const total = dryRun
    ? `Total: ${freed} would go, the least valuable first; ${formatBytes(bytesAfter)} would stay\n`
    : `Total: ${freed}; the room is free once the blobs are collected\n`;
  return `${list}${further}${beyond}${total}`;
}

const NAME_LENGTH = 60;

function row({ name, bytes, costMs, uses, usedAt, value }: PrunedResult): readonly string[] {
  const clean = cleanLine(name, false);
  return [
    clean.length > NAME_LENGTH ? `${clean.slice(0, NAME_LENGTH - 1)}…` : clean,
    formatBytes(bytes),
    shortDuration(costMs),
    String(uses),
    usedAt.replace('T', ' ').slice(0, 19),
    shortDuration(value),
  ];
}
