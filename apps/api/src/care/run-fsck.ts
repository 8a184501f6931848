import { openContentStore } from '#content';
import { type Clock, formatBytes, type Random } from '#std';
import { checkSchema, type Finding, type FindingKind, Fsck, type FsckProgress, openDatabase } from '#storage';
import type { CareConfig } from '../config.ts';

export interface FsckRun {
  readonly config: CareConfig;
  readonly deep: boolean;
  readonly repair: boolean;
  /** how long what is on its way is left alone; where nothing is at work, nothing is on its way */
  readonly graceMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
  readonly onProgress: (progress: FsckProgress) => void;
}

/** What came of it; of the findings the first ones. */
export interface FsckReport {
  readonly blobs: number;
  readonly readBytes: number;
  readonly counts: Partial<Record<FindingKind, number>>;
  readonly found: number;
  readonly mended: number;
  readonly findings: readonly Finding[];
}

const CONNECTIONS = 4;
const MAX_FINDINGS = 1_000;

/** Checks rows and bytes of a farm. @throws KilnError as the database and the store do */
export async function runFsck(options: FsckRun): Promise<FsckReport> {
  const { config, deep, repair, clock, random, signal, onFinding, onProgress } = options;
  await using db = openDatabase({ url: config.KILN_DATABASE_URL, max: CONNECTIONS });
  await checkSchema(db);
  const [content, looked] = await Promise.all([
    openContentStore(config.KILN_OBJECT_STORE, { random, clock }),
    openContentStore(config.KILN_OBJECT_STORE, { random, clock, leaveDamaged: true }),
  ]);
  const graceMs = options.graceMs ?? config.KILN_CACHE_GRACE_SECONDS * 1_000;
  const fsck = new Fsck({ db, content, looked, clock, graceMs, deep, repair, onProgress, signal });
  const counts: Partial<Record<FindingKind, number>> = {};
  const findings: Finding[] = [];
  let [found, mended] = [0, 0];
  for await (const finding of fsck.run()) {
    found++;
    if (finding.mended) mended++;
    counts[finding.kind] = (counts[finding.kind] ?? 0) + 1;
    if (findings.length < MAX_FINDINGS) findings.push(finding);
    onFinding(finding);
  }
  const { blobs, readBytes } = fsck.progress;
  return { blobs, readBytes, counts, found, mended, findings };
}

export const findingText = ({ kind, message, mended }: Finding): string =>
  `${kind.padEnd(9)}  ${message}${mended ? '; mended' : ''}\n`;

export function progressText({ blobs, ofBlobs, readBytes, ofBytes }: FsckProgress): string {
  const read = readBytes === 0 ? '' : `, ${formatBytes(readBytes)} of ${formatBytes(ofBytes)} read`;
  return `${blobs} of ${ofBlobs} blobs${read}`;
}

/** The last lines: what it came to, and what to do. */
export function summaryText({ blobs, readBytes, found, mended }: FsckReport): string {
  const looked = `${blobs} blobs${readBytes === 0 ? '' : `, ${formatBytes(readBytes)} read`}`;
  if (found === 0) return `${looked}: all is well\n`;
  if (mended === found)
    return `${looked}: ${found} found wrong, and mended: what was lost is made again when it is asked for\n`;
  return `${looked}: ${found} found wrong\nkiln admin fsck --repair mends them\n`;
}
