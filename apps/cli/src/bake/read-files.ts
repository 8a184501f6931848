import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { type BakeFile, checkFiles, defaultFiles } from '#bake';
import { collect, systemCode } from '#std';
import type { BuildSurroundings } from '../build/run-build.ts';
import { whyUnreadable } from '../build/unreadable.ts';
import { usageError } from '../usage.ts';
import { MAX_FILE_BYTES, type Planned, type PlanInput } from './plan-files.ts';
import { planApart } from './plan-apart.ts';

export interface FilesAsked {
  /** as given with -f */
  readonly files: readonly string[];
  /** as given with --var */
  readonly variables: readonly string[];
  readonly targets: readonly string[];
  /** as given with --set */
  readonly overrides: readonly string[];
  readonly list: string | undefined;
}

/** What the bake files of a command line come to. @throws KilnError INVALID_ARGUMENT naming the file, and the place in it */
export async function planAsked(asked: FilesAsked, around: BuildSurroundings, signal?: AbortSignal): Promise<Planned> {
  const { cwd, environment, nowMs } = around;
  const named = asked.files.length > 0 ? asked.files : filesOf(environment);
  const files: BakeFile[] = [];
  for (const given of named.length > 0 ? named : defaultFiles) {
    // Of here, as all are.
    const name = given.replace(/^cwd:\/\//, '');
    const text = name === '-' ? await readInput(around) : readText(resolve(cwd, name), name, named.length > 0);
    if (text !== undefined) files.push({ name, text });
  }
  checkFiles(files);
  const { targets, overrides, list } = asked;
  const input: PlanInput = {
    ...{ files, targets, overrides, list, cwd },
    environment: Object.fromEntries(
      Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    variables: Object.fromEntries(asked.variables.map(readVariable)),
    dotEnv: readText(resolve(cwd, '.env'), '.env', false),
    builtins: { BAKE_CMD_CONTEXT: 'cwd://', BAKE_LOCAL_PLATFORM: localPlatform() },
    nowMs: nowMs(),
    homeDir: environment['HOME'] ?? homedir(),
  };
  return await planApart(input, signal);
}

function localPlatform(): string {
  const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
  return `linux/${architectures[process.arch] ?? process.arch}`;
}

/** BUILDX_BAKE_FILE names files where no flag does. */
function filesOf(environment: BuildSurroundings['environment']): readonly string[] {
  const separator = environment['BUILDX_BAKE_PATH_SEPARATOR'] ?? ':';
  return (environment['BUILDX_BAKE_FILE'] ?? '').split(separator).filter((name) => name !== '');
}

function readVariable(text: string): readonly [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw usageError(`--var ${JSON.stringify(text)} is not name=value`, 'such as --var TAG=1.2');
  return [text.slice(0, equals), text.slice(equals + 1)];
}

async function readInput({ stdin }: BuildSurroundings): Promise<string> {
  if (stdin.isTerminal)
    throw usageError(
      'a bake file was to come from standard input, which is a terminal',
      'pipe it: kiln bake -f - < docker-bake.hcl',
    );
  return (await collect(stdin.stream, MAX_FILE_BYTES)).toString();
}

function readText(path: string, name: string, needed: boolean): string | undefined {
  try {
    if (!needed && statSync(path).isDirectory()) return undefined;
    if (statSync(path).size > MAX_FILE_BYTES) throw usageError(`${name} has more than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (!needed && ['ENOENT', 'ENOTDIR'].includes(systemCode(cause) ?? '')) return undefined;
    throw usageError(
      `${name} cannot be read: ${whyUnreadable(cause)}`,
      '-f is relative to the working directory',
      cause,
    );
  }
}
