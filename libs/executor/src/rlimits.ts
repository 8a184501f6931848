import { readFileSync } from 'node:fs';
import type { Ulimit } from './executor.ts';

/** Docker's names, the runtime's, and how /proc/self/limits calls them. */
const known: Readonly<Record<string, readonly [type: string, row: string]>> = {
  core: ['RLIMIT_CORE', 'Max core file size'],
  cpu: ['RLIMIT_CPU', 'Max cpu time'],
  data: ['RLIMIT_DATA', 'Max data size'],
  fsize: ['RLIMIT_FSIZE', 'Max file size'],
  locks: ['RLIMIT_LOCKS', 'Max file locks'],
  memlock: ['RLIMIT_MEMLOCK', 'Max locked memory'],
  msgqueue: ['RLIMIT_MSGQUEUE', 'Max msgqueue size'],
  nice: ['RLIMIT_NICE', 'Max nice priority'],
  nofile: ['RLIMIT_NOFILE', 'Max open files'],
  nproc: ['RLIMIT_NPROC', 'Max processes'],
  rss: ['RLIMIT_RSS', 'Max resident set'],
  rtprio: ['RLIMIT_RTPRIO', 'Max realtime priority'],
  rttime: ['RLIMIT_RTTIME', 'Max realtime timeout'],
  sigpending: ['RLIMIT_SIGPENDING', 'Max pending signals'],
  stack: ['RLIMIT_STACK', 'Max stack size'],
};

/** What a {@link Ulimit} may be of. */
export const ulimitNames: readonly string[] = Object.keys(known);

/** `process.rlimits` of the runtime specification; its numbers have 64 bits. */
export interface Rlimit {
  readonly type: string;
  readonly soft: bigint;
  readonly hard: bigint;
}

const INFINITY = 2n ** 64n - 1n;

/** No core files unless they are asked for; nothing above the hard limits of this process. */
export function rlimits(asked: readonly Ulimit[], own = readFileSync('/proc/self/limits', 'utf8')): readonly Rlimit[] {
  const limits = new Map<string, Rlimit>([['core', { type: 'RLIMIT_CORE', soft: 0n, hard: 0n }]]);
  for (const { name, soft, hard } of asked) {
    const [type, row] = known[name] ?? [];
    if (type === undefined || row === undefined) continue;
    const most = hardLimit(own, row);
    limits.set(name, { type, soft: least(soft, most), hard: least(hard, most) });
  }
  return [...limits.values()];
}

function least(asked: number, most: bigint): bigint {
  const value = asked < 0 ? INFINITY : BigInt(asked);
  return value < most ? value : most;
}

function hardLimit(own: string, row: string): bigint {
  const line = own.split('\n').find((each) => each.startsWith(row)) ?? '';
  const [, hard = 'unlimited'] = line.slice(row.length).trim().split(/\s+/);
  return hard === 'unlimited' ? INFINITY : BigInt(hard);
}
