import { mkdir, readFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentStore } from '#content';
import {
  bytesOnDisk,
  CacheMounts,
  type EngineNode,
  Materialiser,
  SnapshotRoom,
  sweepContextTrees,
  Workspace,
} from '#engine';
import { findNodePlatforms, RuncExecutor, trySandbox } from '#executor';
import type { TrustStore } from '#registry';
import { EgressProxy, GitRepositories, WebClient } from '#remote';
import { createDiffer, OverlaySnapshotter, resolveInRoot } from '#snapshot';
import type { BuilderState } from '#metrics';
import { type Clock, type Logger, type Random } from '#std';
import { type BuilderConfig, resolvConfPath } from './config.ts';

/** Ids inside a sandbox are these plus 100,000 on the node: uid 0 of a step is nobody here. */
const ID_SHIFT = { uid: 100_000, gid: 100_000 };
const ID_COUNT = 2 ** 31;
const DIFF_THREADS = 2;
const FETCH_MAX_FILES = 1_000_000;
const GIT_TIMEOUT_MS = 15 * 60_000;
const PROGRAMS = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** of Debian and its kin */
const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

export interface NodeOptions {
  readonly content: ContentStore;
  /** whom to believe about hosts that builds fetch from */
  readonly trust: TrustStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** called when the kernel has ended a step's process for want of memory */
  readonly onOutOfMemory: () => void;
}

export interface BuilderNode extends AsyncDisposable {
  readonly engine: EngineNode;
  /** what its directories take, for its figures */
  readonly use: () => Promise<Pick<BuilderState, 'rooms' | 'diskFreeBytes'>>;
}

/** Opens what builds share on this node, after clearing away what an earlier process left. */
export async function openNode(
  config: BuilderConfig,
  { content, trust, clock, random, logger, onOutOfMemory }: NodeOptions,
): Promise<BuilderNode> {
  const dir = config.KILN_BUILDER_DIR;
  // Steps' roots are nobody on the node, and have to be able to pass.
  await mkdir(dir, { recursive: true, mode: 0o711 });
  const workspace = await Workspace.open(dir, random);
  const executor = await RuncExecutor.open({
    runtime: config.KILN_RUNTIME,
    slirp4netns: config.KILN_SLIRP4NETNS,
    seccompProfile: config.KILN_SECCOMP_PROFILE,
    root: join(dir, 'run'),
    cgroupParent: join(config.KILN_CGROUP_PARENT, config.KILN_BUILDER_ID),
    idMap: { containerId: 0, hostId: ID_SHIFT.uid, size: ID_COUNT },
    resolvConf: resolvConfPath(),
    resolveInRoot: (root, path) => resolveInRoot(root, path, { followLast: true }),
    logger,
  });
  await executor.sweep();
  const [platforms] = await Promise.all([
    findNodePlatforms({
      arch: process.arch,
      declared: config.KILN_BUILDER_PLATFORMS,
      emulate: config.KILN_EMULATION === 'auto',
      logger,
    }),
    trySandbox(executor, join(dir, 'run'), ID_SHIFT.uid),
  ]);
  const room = new SnapshotRoom({
    snapshotter: await OverlaySnapshotter.open({ root: join(dir, 'snapshots'), shift: ID_SHIFT }),
    measure: bytesOnDisk,
    maxBytes: await roomOf(dir, config.KILN_BUILDER_DISK_MIB),
    clock,
    logger,
  });
  await sweepContextTrees(room);
  room.look();
  const caches = await CacheMounts.open({
    dir: join(dir, 'caches'),
    maxBytes: config.KILN_CACHE_MOUNTS_MIB * 1024 * 1024,
    publishMaxBytes: config.KILN_CACHE_MOUNT_PUBLISH_MIB * 1024 * 1024,
    content,
    shift: ID_SHIFT,
    clock,
    random,
    logger,
  });
  const materialiser = new Materialiser(workspace, room, ID_SHIFT);
  await materialiser.sweep(clock.nowMs());
  const differ = await createDiffer({ threads: DIFF_THREADS, tempDir: join(dir, 'layers') });
  const egress = { allow: config.KILN_EGRESS_ALLOW };
  const web = new WebClient({ egress, trust });
  const proxy = await EgressProxy.start({ egress });
  const fetchLimits = { maxBytes: config.KILN_FETCH_MAX_BYTES, maxFiles: FETCH_MAX_FILES };
  const git = await GitRepositories.open({
    dir: join(dir, 'git'),
    proxy,
    content,
    clock,
    limits: { ...fetchLimits, timeoutMs: GIT_TIMEOUT_MS },
    path: PROGRAMS,
    knownHosts: config.KILN_SSH_KNOWN_HOSTS && (await readFile(config.KILN_SSH_KNOWN_HOSTS, 'utf8')),
    caFile: await readableBundle(dir, config.KILN_CA_BUNDLE),
  });
  return {
    engine: {
      content,
      web,
      git,
      fetchLimits,
      materialiser,
      room,
      differ,
      exec: {
        executor,
        limits: {
          memoryBytes: config.KILN_STEP_MEMORY_MIB * 1024 * 1024,
          pids: config.KILN_STEP_PIDS,
          cpus: config.KILN_STEP_CPUS,
        },
        caBundle: config.KILN_CA_BUNDLE,
        onOutOfMemory,
      },
      caches,
      entitlements: config.KILN_ENTITLEMENTS,
      platforms,
      clock,
      parallelism: config.KILN_BUILD_PARALLELISM,
      tagTtlMs: config.KILN_TAG_TTL_SECONDS * 1000,
    },
    use: async () => {
      const { bavail, bsize } = await statfs(dir);
      return { rooms: { snapshots: room.use, mounts: caches.use }, diskFreeBytes: bavail * bsize };
    },
    async [Symbol.asyncDispose]() {
      await caches[Symbol.asyncDispose]();
      await room[Symbol.asyncDispose]();
      await web[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await differ[Symbol.asyncDispose]();
      await executor.sweep();
    },
  };
}

/** Of a disk that is shared with the farm's other parts, where nobody has said otherwise. */
const DISK_SHARE = 0.2;

async function roomOf(dir: string, givenMib: number | undefined): Promise<number> {
  if (givenMib !== undefined) return givenMib * 1024 * 1024;
  const { blocks, bsize } = await statfs(dir);
  return Math.floor(blocks * bsize * DISK_SHARE);
}

/** The system's certificates and the operator's in one file, which programs without rights can read. */
async function readableBundle(dir: string, own: string | undefined): Promise<string | undefined> {
  if (own === undefined) return undefined;
  const parts = await Promise.all([readFile(own, 'utf8'), readFile(SYSTEM_CERTIFICATES, 'utf8').catch(() => '')]);
  const path = join(dir, 'certificates.pem');
  await writeFile(path, parts.join('\n'), { mode: 0o644 });
  return path;
}
