import { stat, statfs } from 'node:fs/promises';
import { HEARTBEAT_TTL_MS, type QueueView } from '#dispatch';
import { type Clock, formatBytes, kilnVersion, messageOf } from '#std';
import {
  type BuilderHealth,
  builderHealth,
  type BuildLedger,
  type Database,
  jobsOfNoBuild,
  openSealed,
} from '#storage';
import { type Check, failed, ok, some, warning, wrong } from './check.ts';

/** A builder that was heard of within this time and has not stopped is missed. */
const MISSED_MS = 7 * 86_400_000;
/** The reconciler gives a build its job within this. */
const JOB_MS = 15_000;
/** What looks idle at first may be on its way. */
const SECOND_LOOK_MS = 1_000;
const MAX_IDLE = 1_000;
const DISK_LOW = 0.1;
const DISK_FULL = 0.02;

/** Whether the farm's key opens what was sealed. */
export async function checkKey(db: Database, key: Uint8Array): Promise<Check> {
  const { opened, refused } = await openSealed(db, key);
  if (refused.length > 0)
    return wrong(
      'key',
      `KILN_SECRET_KEY does not open what is sealed in the database: ${some(refused)}`,
      'start API and builders with the key that it was sealed with, or store those credentials and secrets anew',
    );
  return ok('key', opened === 0 ? 'nothing is sealed yet' : `opens all that is sealed (${opened})`);
}

/** Builders as the database and the queue know them. */
export async function checkBuilders(db: Database, queue: QueueView): Promise<readonly Check[]> {
  const [builders, versions] = await Promise.all([builderHealth(db, MISSED_MS), queue.builders()]);
  const heard = builders.filter(({ silentMs }) => silentMs <= HEARTBEAT_TTL_MS);
  const checks = builders.map((builder) => builderCheck(builder, versions));
  if (heard.length === 0)
    checks.unshift(wrong('builders', 'none is heard of: nothing is built', 'start one; its log says why it ended'));
  else if (heard.every(({ state }) => state !== 'ready'))
    checks.unshift(wrong('builders', 'none takes builds', 'kiln builder undrain ID lets one take builds again'));
  return checks;
}

function builderCheck(
  { id, state, silentMs, platforms, emulated }: BuilderHealth,
  versions: ReadonlyMap<string, string> | undefined,
): Check {
  const name = `builder ${id}`;
  if (silentMs > HEARTBEAT_TTL_MS) {
    const text = `was last heard of ${Math.round(silentMs / 1000)} s ago`;
    return warning(name, text, 'start it again, or leave it: after a week it is forgotten');
  }
  const version = versions?.get(id);
  const emulates = emulated.length === 0 ? '' : `; emulates ${emulated.join(' ')}`;
  const text = `${state}, ${platforms.join(' ')}${emulates}${version === undefined ? '' : `, version ${version}`}`;
  if (versions !== undefined && version === undefined)
    return wrong(name, `${text}; it is not connected to the queue`, 'check its KILN_REDIS_URL, and its log');
  if (version !== undefined && version !== kilnVersion())
    return warning(name, text, `this is version ${kilnVersion()}: update what is older`);
  if (state !== 'ready') return warning(name, text, `kiln builder undrain ${id} lets it take builds again`);
  return ok(name, text);
}

export interface QueueCheck {
  readonly db: Database;
  readonly ledger: BuildLedger;
  readonly queue: QueueView;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The queue against the ledger: each of two looks, for a farm at work is never still. */
export async function checkQueue(options: QueueCheck): Promise<readonly Check[]> {
  return await Promise.all([checkLostJobs(options), checkIdleJobs(options)]);
}

async function checkLostJobs({ ledger, queue, clock, signal }: QueueCheck): Promise<Check> {
  const due = (await ledger.queuedOlderThan(JOB_MS)).filter(({ platform }) => platform === undefined);
  let lost = await queue.withoutJob(due);
  if (lost.length > 0) {
    await clock.sleep(SECOND_LOOK_MS, signal);
    const still = new Set((await ledger.queuedOlderThan(JOB_MS)).map(({ buildId }) => buildId));
    lost = (await queue.withoutJob(lost)).filter(({ buildId }) => still.has(buildId));
  }
  if (lost.length === 0) return ok('queue', `${due.length} builds wait, each with its job`);
  const text = `${lost.length} queued builds have no job: ${some(lost.map(({ buildId }) => buildId))}`;
  return wrong('queue', text, 'the reconciler of an API gives them one within seconds: start an API, or read its log');
}

async function checkIdleJobs({ db, queue, clock, signal }: QueueCheck): Promise<Check> {
  let idle = await idleJobs(db, queue);
  if (idle.size > 0) {
    await clock.sleep(SECOND_LOOK_MS, signal);
    idle = idle.intersection(await idleJobs(db, queue));
  }
  if (idle.size === 0) return ok('jobs', 'each job that waits brings a build');
  const text = `${idle.size} jobs wait that bring no build: ${some([...idle])}`;
  return warning('jobs', text, 'builders drop them as they come to them; start one where none runs');
}

async function idleJobs(db: Database, queue: QueueView): Promise<ReadonlySet<string>> {
  const idle = new Set<string>();
  for await (const jobs of queue.waiting()) {
    for (const id of await jobsOfNoBuild(db, jobs)) idle.add(id);
    if (idle.size >= MAX_IDLE) break;
  }
  return idle;
}

/** Room on the disks that these folders are on, each disk once. */
export async function checkDisks(paths: readonly string[]): Promise<readonly Check[]> {
  const disks = new Map<number | string, string>();
  for (const path of paths) {
    const device = await stat(path).then(
      ({ dev }) => dev,
      () => path,
    );
    if (!disks.has(device)) disks.set(device, path);
  }
  return await Promise.all([...disks.values()].map(checkDisk));
}

async function checkDisk(path: string): Promise<Check> {
  const name = `disk ${path}`;
  try {
    const { bsize, blocks, bavail } = await statfs(path);
    const text = `${formatBytes(bavail * bsize)} of ${formatBytes(blocks * bsize)} are free`;
    const next = 'kiln cache prune frees blobs; move the farm to a larger disk, or its blobs to a bucket';
    if (bavail < blocks * DISK_FULL) return wrong(name, text, next);
    return bavail < blocks * DISK_LOW ? warning(name, text, next) : ok(name, text);
  } catch (thrown) {
    return failed(name, `cannot be looked at: ${messageOf(thrown)}`, 'check that it is there and mounted');
  }
}
