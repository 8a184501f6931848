import { readFile, stat, statfs } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Executor, Exit, FileMount, Limits, OnOutput, SandboxMount } from '#executor';
import { type ExecOp, INLINE_FILES_DIR } from '#graph';
import { resolveInRoot } from '#snapshot';
import { KilnError, systemCode } from '#std';
import { processUser, type ReadRootFile } from './accounts.ts';
import type { StepMounts } from './exec-mounts.ts';
import { makeDirs, type TargetRoot } from './rooted-files.ts';
import type { Workspace } from './workspace.ts';

export const DISK_FULL_HINT = 'the builder’s disk is full: make room on it, or give it a larger one';

/** What every RUN of this node gets. */
export interface ExecSettings {
  readonly executor: Executor;
  /** a step may ask for less */
  readonly limits: Limits;
  /** certificate bundle for steps behind an inspecting proxy: neither in keys nor in images */
  readonly caBundle?: string | undefined;
  /** called when the kernel has ended a process for want of memory */
  readonly onOutOfMemory?: (() => void) | undefined;
}

export interface ExecRun {
  readonly op: ExecOp;
  readonly root: TargetRoot;
  readonly workspace: Workspace;
  readonly settings: ExecSettings;
  readonly mounts: StepMounts;
  readonly log: OnOutput;
  /** its name for itself; BuildKit's by default */
  readonly hostname?: string;
  readonly signal: AbortSignal;
}

/** The path at which steps see the farm's certificate bundle: in a mount that is there anyway, so that no directory shows. */
const CA_BUNDLE_TARGET = '/dev/.kiln/ca-certificates.crt';

const CA_VARIABLES = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'CARGO_HTTP_CAINFO',
  'npm_config_cafile',
];

/** @throws KilnError STEP_FAILED when the process exits with another code than 0, SANDBOX_FAILED when it did not start */
export async function runExec(run: ExecRun): Promise<void> {
  const { op, root } = run;
  const exit = await runProcess(run);
  if (exit.exitCode === 0) return;
  const command = op.args.join(' ');
  if (exit.outOfMemory) {
    throw new StepExit(
      exit.exitCode,
      `process "${command}" was ended: it used more than ${exit.memoryLimit} of memory`,
      'let it use less memory, or raise the limit for a step: --memory, and that of the farm',
    );
  }
  const message = `process "${command}" did not complete successfully: exit code: ${exit.exitCode}`;
  throw new StepExit(exit.exitCode, message, (await isFull(root.path)) ? DISK_FULL_HINT : undefined);
}

/** How a process ended, and what memory it had as people write it. @throws KilnError SANDBOX_FAILED when it did not start */
export async function runProcess(run: ExecRun): Promise<Exit & { readonly memoryLimit: string }> {
  const { op, root, workspace, settings, mounts, log, signal, hostname = 'buildkitsandbox' } = run;
  const user = await processUser(op.user, readRootFile(root.path));
  await makeDirs(root, op.cwd, { mode: 0o755, uid: user.uid, gid: user.gid });
  const limits = limitsOf(op, settings.limits);
  const trust = withCaBundle(withVariables([...op.env, ...(op.proxyEnv ?? [])], mounts.env), settings.caBundle);
  const exit = await settings.executor.run(
    {
      id: workspace.name('run-'),
      args: op.args,
      env: trust.env,
      cwd: op.cwd,
      ...user,
      hostname,
      network: op.network,
      extraHosts: op.extraHosts,
      insecure: op.security === 'insecure',
      limits,
      mounts: [...trust.mounts, ...inlineFiles(op), ...mounts.mounts],
    },
    root.path,
    log,
    AbortSignal.any([signal, mounts.lost]),
  );
  if (exit.outOfMemory) settings.onOutOfMemory?.();
  return { ...exit, memoryLimit: `${Math.round(limits.memoryBytes / 1_048_576)} MiB` };
}

/** What the step asks for, and never more than the farm gives. */
function limitsOf({ limits: asked = {} }: ExecOp, farm: Limits): Limits {
  const cpus = Math.min(farm.cpus ?? Number.POSITIVE_INFINITY, (asked.cpuMillis ?? Number.POSITIVE_INFINITY) / 1000);
  return {
    ...farm,
    memoryBytes: Math.min(farm.memoryBytes, asked.memoryBytes ?? farm.memoryBytes),
    cpus: Number.isFinite(cpus) ? cpus : undefined,
    shmSizeBytes: asked.shmSizeBytes ?? farm.shmSizeBytes,
    ulimits: asked.ulimits ?? farm.ulimits,
  };
}

/** Programs in /dev/pipes. */
function inlineFiles({ files = [] }: ExecOp): readonly FileMount[] {
  return files.map(({ name, text }) => ({
    kind: 'file',
    target: posix.join(INLINE_FILES_DIR, posix.basename(name)),
    data: Buffer.from(text),
    mode: 0o755,
    uid: 0,
    gid: 0,
  }));
}

/** Where there is less, programs fail for lack of room. */
const FULL_BYTES = 1024 * 1024;

async function isFull(path: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(path);
  // File systems that count no inodes say 0 of all.
  return bavail * bsize < FULL_BYTES || (files > 0 && ffree === 0);
}

/** A step that ran and failed. */
export class StepExit extends KilnError {
  constructor(
    readonly exitCode: number,
    message: string,
    hint?: string,
  ) {
    super('STEP_FAILED', message, { hint });
  }
}

const ROOT_FILE_BYTES = 10 * 1024 * 1024;

/** Reads small files of a mounted root, links resolved inside of it; what is no file is not there. */
export function readRootFile(root: string): ReadRootFile {
  return async (path) => {
    try {
      const resolved = await resolveInRoot(root, path, { followLast: true });
      const found = await stat(resolved);
      // A pipe would be waited for, a device read without end.
      if (!found.isFile()) return null;
      if (found.size > ROOT_FILE_BYTES)
        throw new KilnError('STEP_FAILED', `${path} of the image is too large to be read (${found.size} bytes)`, {
          hint: 'give users and groups by number',
        });
      return await readFile(resolved, 'utf8');
    } catch (thrown) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) return null;
      throw thrown;
    }
  };
}

const nameOf = (entry: string): string => entry.slice(0, entry.indexOf('='));

/** Later ones take the place of earlier ones of their name. */
function withVariables(env: readonly string[], more: readonly string[]): readonly string[] {
  const names = new Set(more.map(nameOf));
  return [...env.filter((entry) => !names.has(nameOf(entry))), ...more];
}

function withCaBundle(
  env: readonly string[],
  bundle: string | undefined,
): { env: readonly string[]; mounts: readonly SandboxMount[] } {
  if (bundle === undefined) return { env, mounts: [] };
  const given = new Set(env.map(nameOf));
  const added = CA_VARIABLES.filter((name) => !given.has(name)).map((name) => `${name}=${CA_BUNDLE_TARGET}`);
  const mount = { kind: 'bind', source: bundle, target: CA_BUNDLE_TARGET, readonly: true } as const;
  return { env: [...env, ...added], mounts: [mount] };
}
