import { posix } from 'node:path';
import type { Edge, ExecMount } from '#graph';
import type { Digest } from '#oci';
import { unreachable } from '#std';
import { invalid } from '../invalid.ts';
import type { Run } from '../parse/ast.ts';
import { type MountOptions, mountOptions } from './mount-options.ts';
import { contextEdge, expandIn, type StageLowering } from './stage-lowering.ts';
import type { Source } from './stage-plan.ts';
import { stepComments } from './step-comments.ts';

const SECRET_MODE = 0o400;
const SOCKET_MODE = 0o600;

export interface LoweredMounts {
  readonly mounts: readonly ExecMount[];
  /** what the mounts take, numbered after the root */
  readonly inputs: readonly Edge[];
}

/** The mounts of a RUN, each with an input of its own where it shows files of another tree. */
export function lowerMounts(
  run: Run,
  sources: readonly (Source | undefined)[],
  lowering: StageLowering,
): LoweredMounts {
  const inputs: Edge[] = [];
  const inputOf = (edge: Edge): number => inputs.push(edge);
  const mounts: ExecMount[] = [];
  const all = stepComments(run.comments).keyedSecrets;
  const isKeyed = (id: string): boolean => all || lowering.options.keyedSecrets?.includes(id) === true;
  for (const [index, { fields, from }] of run.mounts.entries()) {
    const source = sources[index];
    const options = mountOptions(fields, from, (value) => expandIn(lowering, run, value));
    const agents = mounts.filter(isAgent).length;
    mounts.push(lowerMount(options, { source, lowering, inputOf, agents, isKeyed }));
  }
  return { mounts, inputs };
}

export function isAgent(mount: ExecMount): mount is Extract<ExecMount, { readonly type: 'ssh' }> {
  return mount.type === 'ssh';
}

interface Around {
  readonly source: Source | undefined;
  readonly lowering: StageLowering;
  /** @returns the input's number */
  readonly inputOf: (edge: Edge) => number;
  /** ssh mounts before this one */
  readonly agents: number;
  /** whether a secret's value counts in the step's keys */
  readonly isKeyed: (id: string) => boolean;
}

function lowerMount(options: MountOptions, { source, lowering, inputOf, agents, isKeyed }: Around): ExecMount {
  const target = (path: string): string => targetOf(path, lowering.state.cwd);
  const { uid = 0, gid = 0, mode, required } = options;
  switch (options.type) {
    case 'bind':
      return {
        type: 'bind',
        target: target(options.target),
        input: inputOf(source === undefined ? contextEdge(lowering) : lowering.sourceOf(source)),
        source: insideOf(options.source),
        readonly: options.readonly ?? true,
      };
    case 'cache':
      return {
        type: 'cache',
        target: target(options.target),
        id: options.id || cleanPath(options.target),
        sharing: options.sharing ?? 'shared',
        ...(source === undefined || source.kind === 'scratch' ? {} : { input: inputOf(lowering.sourceOf(source)) }),
        source: insideOf(options.source),
        ...(mode === undefined ? {} : { mode: mode & 0o7777 }),
        ...(options.uid === undefined ? {} : { uid }),
        ...(options.gid === undefined ? {} : { gid }),
        readonly: options.readonly ?? false,
      };
    case 'tmpfs':
      return {
        type: 'tmpfs',
        target: target(options.target),
        ...(options.sizeBytes === undefined || options.sizeBytes === 0 ? {} : { sizeBytes: options.sizeBytes }),
        ...(options.readonly === true ? { readonly: true } : {}),
      };
    case 'secret': {
      const id = options.source || options.id || posix.basename(options.target);
      const { env } = options;
      const path = options.target || (env === undefined ? `/run/secrets/${posix.basename(id)}` : undefined);
      return {
        type: 'secret',
        id,
        ...(path === undefined ? {} : { target: target(path) }),
        ...(env === undefined ? {} : { env: variableOf(env) }),
        ...(isKeyed(id) ? keyedBy(id, lowering) : {}),
        required,
        mode: (mode ?? SECRET_MODE) & 0o777,
        uid,
        gid,
      };
    }
    case 'ssh':
      return {
        type: 'ssh',
        id: options.id || 'default',
        target: target(options.target || `/run/buildkit/ssh_agent.${agents}`),
        required,
        mode: (mode ?? SOCKET_MODE) & 0o777,
        uid,
        gid,
      };
    default:
      return unreachable(options.type);
  }
}

function keyedBy(id: string, { options }: StageLowering): { keyed?: Digest } {
  const keyed = options.secretDigest?.(id);
  return keyed === undefined ? {} : { keyed };
}

/** Absolute and clean; relative paths are below the working directory. */
function targetOf(path: string, cwd: string): string {
  const target = posix.resolve('/', cwd, path);
  if (target !== '/') return target;
  throw invalid(`invalid mount target ${JSON.stringify(target)}`, { hint: 'write target=/some/directory' });
}

/** Relative to the root of the source; what lies above the root is the root, which is empty. */
const insideOf = (source: string): string => posix.join('/', source).replace(/^\/+|\/+$/g, '');

const cleanPath = (path: string): string => posix.normalize(path).replace(/(.)\/+$/, '$1');

function variableOf(name: string): string {
  if (name !== '' && !name.includes('=') && !name.includes('\0')) return name;
  throw invalid(`invalid name of a variable: ${JSON.stringify(name)}`, { hint: 'write env=NAME' });
}
