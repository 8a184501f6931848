import type { BindMount, ProcessSpec } from './executor.ts';
import { defaultCapabilities } from './capabilities.ts';
import type { Seccomp } from './seccomp-profile.ts';

export interface IdMap {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

export interface SpecSettings {
  /** of users and groups alike */
  readonly idMap: IdMap;
  readonly seccomp: Seccomp;
  /** absolute, in each hierarchy */
  readonly cgroupsPath: string;
  /** the mounted root */
  readonly rootfs: string;
  /** resolv.conf and hosts */
  readonly files: readonly BindMount[];
  /** whether swap can be limited on this node; it is off in sandboxes then */
  readonly limitsSwap: boolean;
  /** what the runtime starts once the namespaces are there, its state on standard input; undefined for nothing */
  readonly namespacesReady?: { readonly path: string; readonly args: readonly string[] } | undefined;
}

const systemMounts = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    // Group 5 is tty.
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
] as const;

/** Where the runtime makes directories in the root to mount on. */
export const systemMountPoints: readonly string[] = ['/proc', '/dev', '/sys'];

const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const cpuPeriodUs = 100_000;

/** `config.json` of a bundle: https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md */
export function runtimeSpec(spec: ProcessSpec, settings: SpecSettings): object {
  const { rootfs, namespacesReady } = settings;
  return {
    ociVersion: '1.0.2',
    hostname: spec.hostname,
    root: { path: rootfs, readonly: false },
    process: {
      terminal: false,
      args: spec.args,
      env: spec.env,
      cwd: spec.cwd,
      user: { uid: spec.uid, gid: spec.gid, additionalGids: spec.additionalGids },
      // sudo and the like work in build steps.
      noNewPrivileges: false,
      capabilities: {
        bounding: defaultCapabilities,
        effective: defaultCapabilities,
        permitted: defaultCapabilities,
        inheritable: [],
        ambient: [],
      },
      rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
    },
    mounts: [...systemMounts, ...[...settings.files, ...spec.mounts].map(bind)],
    ...(namespacesReady === undefined ? {} : { hooks: { createRuntime: [namespacesReady] } }),
    linux: linuxSpec(spec, settings),
  };
}

function linuxSpec({ limits }: ProcessSpec, { idMap, seccomp, cgroupsPath, limitsSwap }: SpecSettings): object {
  const mapping = { containerID: idMap.containerId, hostID: idMap.hostId, size: idMap.size };
  return {
    namespaces: ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type })),
    uidMappings: [mapping],
    gidMappings: [mapping],
    cgroupsPath,
    resources: {
      devices: [{ allow: false, access: 'rwm' }],
      memory: { limit: limits.memoryBytes, ...(limitsSwap ? { swap: limits.memoryBytes } : {}) },
      pids: { limit: limits.pids },
      ...(limits.cpus === undefined
        ? {}
        : { cpu: { quota: Math.round(limits.cpus * cpuPeriodUs), period: cpuPeriodUs } }),
    },
    seccomp,
    maskedPaths,
    readonlyPaths,
  };
}

const bind = ({ source, target, readonly }: BindMount): object => ({
  destination: target,
  type: 'bind',
  source,
  options: ['rbind', 'rprivate', 'nosuid', 'nodev', readonly ? 'ro' : 'rw'],
});
