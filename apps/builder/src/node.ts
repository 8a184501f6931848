import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentStore } from '#content';
import { type EngineNode, Materialiser, Workspace } from '#engine';
import { findNodePlatforms, RuncExecutor } from '#executor';
import { createDiffer, OverlaySnapshotter, resolveInRoot } from '#snapshot';
import { type Clock, type Logger, type Random } from '#std';
import { type BuilderConfig, resolvConfPath } from './config.ts';

/** Ids inside a sandbox are these plus 100,000 on the node: uid 0 of a step is nobody here. */
const ID_SHIFT = { uid: 100_000, gid: 100_000 };
const ID_COUNT = 2 ** 31;
const DIFF_THREADS = 2;

export interface BuilderNode extends AsyncDisposable {
  readonly engine: EngineNode;
}

/** Opens what builds share on this node, after clearing away what an earlier process left. */
export async function openNode(
  config: BuilderConfig,
  content: ContentStore,
  clock: Clock,
  random: Random,
  logger: Logger,
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
    resolveInRoot,
    logger,
  });
  await executor.sweep();
  const platforms = await findNodePlatforms({
    arch: process.arch,
    declared: config.KILN_BUILDER_PLATFORMS,
    emulate: config.KILN_EMULATION === 'auto',
    logger,
  });
  const snapshotter = await OverlaySnapshotter.open({ root: join(dir, 'snapshots'), shift: ID_SHIFT });
  const differ = await createDiffer({ threads: DIFF_THREADS, tempDir: join(dir, 'layers') });
  return {
    engine: {
      content,
      materialiser: new Materialiser(workspace, snapshotter, ID_SHIFT),
      differ,
      exec: {
        executor,
        limits: {
          memoryBytes: config.KILN_STEP_MEMORY_MIB * 1024 * 1024,
          pids: config.KILN_STEP_PIDS,
          cpus: config.KILN_STEP_CPUS,
        },
        caBundle: config.KILN_CA_BUNDLE,
      },
      platforms,
      clock,
      parallelism: config.KILN_BUILD_PARALLELISM,
      tagTtlMs: config.KILN_TAG_TTL_SECONDS * 1000,
    },
    async [Symbol.asyncDispose]() {
      await differ[Symbol.asyncDispose]();
      await executor.sweep();
    },
  };
}
