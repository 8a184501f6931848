import type { BindMount, ProcessSpec, TmpfsMount } from './executor.ts';
import { allCapabilities, defaultCapabilities } from './capabilities.ts';
import { rlimits } from './rlimits.ts';
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
  /** besides those of the system, in the order in which they are made */
  readonly mounts: readonly (BindMount | TmpfsMount)[];
  /** whether swap can be limited on this node; it is off in sandboxes then */
  readonly limitsSwap: boolean;
  /** what the runtime starts once the namespaces are there, its state on standard input; undefined for nothing */
  readonly namespacesReady?: { readonly path: string; readonly args: readonly string[] } | undefined;
}

const shmBytes = 64 * 1024 * 1024;

function systemMounts({ limits, network, insecure = false }: ProcessSpec): readonly object[] {
  const { shmSizeBytes = shmBytes } = limits;
  return [
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
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${shmSizeBytes}`],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    // The kernel makes a new one only for who owns the network.
    network === 'host'
      ? { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'] }
      : {
          destination: '/sys',
          type: 'sysfs',
          source: 'sysfs',
          options: ['nosuid', 'noexec', 'nodev', insecure ? 'rw' : 'ro'],
        },
  ];
}

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
  const capabilities = spec.insecure === true ? allCapabilities : defaultCapabilities;
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
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      rlimits: rlimits(spec.limits.ulimits ?? []),
    },
    mounts: [...systemMounts(spec), ...settings.mounts.map(mountOf)],
    ...(namespacesReady === undefined ? {} : { hooks: { createRuntime: [namespacesReady] } }),
    linux: linuxSpec(spec, settings),
  };
}

const namespaces = ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'];

function linuxSpec(
  { limits, network, insecure = false }: ProcessSpec,
  { idMap, seccomp, cgroupsPath, limitsSwap }: SpecSettings,
): object {
  const mapping = { containerID: idMap.containerId, hostID: idMap.hostId, size: idMap.size };
  return {
    namespaces: namespaces.filter((type) => type !== 'network' || network !== 'host').map((type) => ({ type })),
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
    ...(insecure ? {} : { seccomp }),
    maskedPaths: [...(insecure ? [] : maskedPaths), ...(network === 'host' ? ['/sys/fs/cgroup'] : [])],
    readonlyPaths: insecure ? [] : readonlyPaths,
  };
}

function mountOf(mount: BindMount | TmpfsMount): object {
  const { target: destination } = mount;
  const access = mount.readonly ? 'ro' : 'rw';
  if (mount.kind === 'tmpfs') {
    const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
    return { destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', ...size, access] };
  }
  const nosuid = mount.setuid === true ? [] : ['nosuid'];
  return {
    destination,
    type: 'bind',
    source: mount.source,
    options: ['rbind', 'rprivate', ...nosuid, 'nodev', access],
  };
}

declare global {
  interface JSON {
    /** in the language since 2025, and not in the compiler's library yet */
    rawJSON(text: string): object;
  }
}

/** `config.json`: its numbers may have 64 bits. */
export function specJson(spec: object): string {
  return JSON.stringify(spec, (_key, value: unknown) => (typeof value === 'bigint' ? JSON.rawJSON(`${value}`) : value));
}
