import { readRunValues, type RunLimits } from '#protocol';
import { parseSecret, type SecretSource } from './secrets.ts';
import { type AgentSource, parseAgent } from './ssh-sources.ts';

/** The flags of `kiln build` that are about its RUN steps, as commander gives them. */
export interface RunFlags {
  readonly network: string;
  readonly allow?: readonly string[];
  readonly addHost?: readonly string[];
  readonly ulimit?: readonly string[];
  readonly shmSize?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly cgroupParent?: string;
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
}

/** The same, checked. */
export interface RunOptions {
  readonly request: RunLimits;
  readonly secrets: readonly SecretSource[];
  readonly agents: readonly AgentSource[];
  /** what is accepted and has no effect */
  readonly notes: readonly string[];
}

/** @throws KilnError INVALID_ARGUMENT naming the flag */
export function readRunFlags(flags: RunFlags): RunOptions {
  const secrets = (flags.secret ?? []).map(parseSecret);
  const agents = (flags.ssh ?? []).map(parseAgent);
  const allowed = flags.allow ?? [];
  return {
    request: readRunValues({ ...flags, allow: allowed.filter((value) => !isDevice(value)) }, (name) => `--${name}`),
    secrets,
    agents,
    notes: [
      ...(flags.cgroupParent === undefined
        ? []
        : ['--cgroup-parent has no effect: a farm’s builders keep the control groups of steps themselves']),
      ...(allowed.some(isDevice) ? ['--allow device has no effect: a farm’s builders have no devices to give'] : []),
    ],
  };
}

const isDevice = (entitlement: string): boolean => /^device(?:=|$)/.test(entitlement);
