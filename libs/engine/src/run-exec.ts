import { chmod, mkdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { BindMount, Executor, Limits, OnOutput } from '#executor';
import { type ExecOp, INLINE_FILES_DIR } from '#graph';
import { resolveInRoot } from '#snapshot';
import { KilnError, systemCode } from '#std';
import { processUser, type ReadRootFile } from './accounts.ts';
import { makeDirs, type TargetRoot } from './rooted-files.ts';
import type { Workspace } from './workspace.ts';

export const DISK_FULL_HINT = 'the builder’s disk is full: make room on it, or give it a larger one';

/** What every RUN of this node gets. */
export interface ExecSettings {
  readonly executor: Executor;
  readonly limits: Limits;
  /** certificate bundle for steps behind an inspecting proxy: neither in keys nor in images */
  readonly caBundle?: string | undefined;
}

export interface ExecRun {
  readonly op: ExecOp;
  readonly root: TargetRoot;
  readonly workspace: Workspace;
  readonly settings: ExecSettings;
  readonly log: OnOutput;
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
export async function runExec({ op, root, workspace, settings, log, signal }: ExecRun): Promise<void> {
  const user = await processUser(op.user, readRootFile(root.path));
  await makeDirs(root, op.cwd, { mode: 0o755, uid: user.uid, gid: user.gid });
  const { env, mounts } = withCaBundle(op.env, settings.caBundle);
  await using inline = await inlineFiles(op, workspace);
  const exit = await settings.executor.run(
    {
      id: workspace.name('run-'),
      args: op.args,
      env,
      cwd: op.cwd,
      ...user,
      hostname: 'buildkitsandbox',
      network: op.network === 'none' ? 'none' : 'default',
      limits: settings.limits,
      mounts: [...mounts, ...inline.mounts],
    },
    root.path,
    log,
    signal,
  );
  if (exit.exitCode === 0) return;
  const command = op.args.join(' ');
  if (exit.outOfMemory) {
    const limit = `${Math.round(settings.limits.memoryBytes / 1_048_576)} MiB`;
    throw new StepExit(
      exit.exitCode,
      `process "${command}" was ended: it used more than ${limit} of memory`,
      'let it use less memory, or raise the farm’s limit for a step',
    );
  }
  const message = `process "${command}" did not complete successfully: exit code: ${exit.exitCode}`;
  throw new StepExit(exit.exitCode, message, (await isFull(root.path)) ? DISK_FULL_HINT : undefined);
}

/** The step's inline files as mounts, for as long as they are held. */
async function inlineFiles(
  { files = [] }: ExecOp,
  workspace: Workspace,
): Promise<AsyncDisposable & { readonly mounts: readonly BindMount[] }> {
  if (files.length === 0) return { mounts: [], [Symbol.asyncDispose]: () => Promise.resolve() };
  const dir = join(workspace.dir, 'inline', workspace.name(''));
  await mkdir(dir);
  await chmod(dir, 0o755);
  const mounts: BindMount[] = [];
  for (const [index, { name, text }] of files.entries()) {
    const source = join(dir, String(index));
    await writeFile(source, text);
    await chmod(source, 0o755);
    mounts.push({ source, target: posix.join(INLINE_FILES_DIR, posix.basename(name)), readonly: true });
  }
  return { mounts, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
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

/** Reads small files of a mounted root, links resolved inside of it. */
export function readRootFile(root: string): ReadRootFile {
  return async (path) => {
    try {
      const resolved = await resolveInRoot(root, path, { followLast: true });
      const { size } = await stat(resolved);
      if (size > 4 * 1024 * 1024)
        throw new KilnError('STEP_FAILED', `${path} of the image is too large to be read (${size} bytes)`, {
          hint: 'give users and groups by number',
        });
      return await readFile(resolved, 'utf8');
    } catch (thrown) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) return null;
      throw thrown;
    }
  };
}

function withCaBundle(
  env: readonly string[],
  bundle: string | undefined,
): { env: readonly string[]; mounts: readonly BindMount[] } {
  if (bundle === undefined) return { env, mounts: [] };
  const given = new Set(env.map((entry) => entry.slice(0, entry.indexOf('='))));
  const added = CA_VARIABLES.filter((name) => !given.has(name)).map((name) => `${name}=${CA_BUNDLE_TARGET}`);
  return { env: [...env, ...added], mounts: [{ source: bundle, target: CA_BUNDLE_TARGET, readonly: true }] };
}
