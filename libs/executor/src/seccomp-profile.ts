import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { KilnError } from '#std';

const Conditions = z.object({ caps: z.array(z.string()).optional(), arches: z.array(z.string()).optional() });

const Argument = z.object({ index: z.int(), value: z.int(), valueTwo: z.int().optional(), op: z.string() });

/** The format of containers-common and Docker, conditions and all. */
const Profile = z.object({
  defaultAction: z.string(),
  defaultErrnoRet: z.int().optional(),
  archMap: z.array(z.object({ architecture: z.string(), subArchitectures: z.array(z.string()).nullish() })),
  syscalls: z.array(
    z.object({
      names: z.array(z.string()),
      action: z.string(),
      args: z.array(Argument).nullish(),
      errnoRet: z.int().optional(),
      includes: Conditions.nullish(),
      excludes: Conditions.nullish(),
    }),
  ),
});

export type SeccompProfile = z.infer<typeof Profile>;

/** `linux.seccomp` of the runtime specification: no conditions. */
export interface Seccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly z.infer<typeof Argument>[];
  readonly errnoRet?: number;
}

export interface SeccompTarget {
  readonly capabilities: readonly string[];
  /** as Node's process.arch */
  readonly arch: string;
}

const machines: Readonly<Record<string, { readonly goarch: string; readonly seccomp: string }>> = {
  x64: { goarch: 'amd64', seccomp: 'SCMP_ARCH_X86_64' },
  arm64: { goarch: 'arm64', seccomp: 'SCMP_ARCH_AARCH64' },
};

/** @throws KilnError UNAVAILABLE */
export async function readSeccompProfile(path: string): Promise<SeccompProfile> {
  try {
    return Profile.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (thrown) {
    throw new KilnError('UNAVAILABLE', `the seccomp profile ${path} cannot be read`, {
      hint: 'on Debian it comes with the package golang-github-containers-common',
      cause: thrown,
    });
  }
}

/**
 * Containers-common's profile lets anyone make namespaces, for containers in containers; a build step has no use for
 * them, and they open much of the kernel. So these need CAP_SYS_ADMIN, as in Docker's profile.
 */
const needsAdmin = new Set([
  'clone',
  'clone3',
  'fsconfig',
  'fsmount',
  'fsopen',
  'fspick',
  'mount',
  'mount_setattr',
  'move_mount',
  'open_tree',
  'pivot_root',
  'setns',
  'umount',
  'umount2',
  'unshare',
]);
const ALLOW = 'SCMP_ACT_ALLOW';
const EPERM = 1;
/** CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET */
const namespaceFlags = 0x7e020000;
const withoutAdmin: readonly SeccompRule[] = [
  {
    names: ['clone'],
    action: ALLOW,
    args: [{ index: 0, value: namespaceFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
  },
  // clone3 hides its flags from filters. The default, ENOSYS, makes every libc fall back to clone.
  {
    names: [...needsAdmin].filter((name) => name !== 'clone' && name !== 'clone3'),
    action: 'SCMP_ACT_ERRNO',
    errnoRet: EPERM,
  },
];

/** @throws KilnError UNAVAILABLE for an architecture without rules */
export function seccompFor(profile: SeccompProfile, { capabilities, arch }: SeccompTarget): Seccomp {
  const machine = machines[arch];
  if (machine === undefined) throw new KilnError('UNAVAILABLE', `no seccomp rules for the architecture ${arch}`);
  const admin = capabilities.includes('CAP_SYS_ADMIN');
  const subArchitectures =
    profile.archMap.find((known) => known.architecture === machine.seccomp)?.subArchitectures ?? [];
  const rules = profile.syscalls
    .filter(({ includes, excludes }) => {
      if (excludes?.arches?.includes(machine.goarch) === true) return false;
      if (excludes?.caps?.some((name) => capabilities.includes(name)) === true) return false;
      if ((includes?.arches?.length ?? 0) > 0 && includes?.arches?.includes(machine.goarch) !== true) return false;
      return includes?.caps?.every((name) => capabilities.includes(name)) ?? true;
    })
    .map(({ names, action, args, errnoRet }) => ({
      names: admin || action !== ALLOW ? names : names.filter((name) => !needsAdmin.has(name)),
      action,
      ...((args?.length ?? 0) > 0 && args ? { args } : {}),
      ...(errnoRet === undefined ? {} : { errnoRet }),
    }))
    .filter(({ names }) => names.length > 0);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: [machine.seccomp, ...subArchitectures],
    syscalls: admin ? rules : [...rules, ...withoutAdmin],
  };
}
