import { readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnError } from '#std';
import { Bundle } from './bundle.ts';
import type { Cgroups } from './cgroups.ts';
import type { BindMount, Exit, OnOutput, ProcessSpec, TmpfsMount } from './executor.ts';
import { byDepth } from './mount-order.ts';
import { makeMountStubs, type MountPoint, type ResolveInRoot } from './mount-stubs.ts';
import { NamespaceGate } from './namespace-gate.ts';
import { hosts, resolvConf } from './network-files.ts';
import { OutputPipes } from './output-pipes.ts';
import { commandFailure, type Runc, type RuncRun } from './runc.ts';
import { type IdMap, runtimeSpec, specJson, systemMountPoints } from './runtime-spec.ts';
import { type NetworkPlan, planNetwork, SandboxNetwork } from './sandbox-network.ts';
import type { Seccomp } from './seccomp-profile.ts';

/** What all sandboxes of this node share. */
export interface SandboxHost {
  readonly runc: Runc;
  readonly cgroups: Cgroups;
  readonly seccomp: Seccomp;
  readonly bundles: string;
  readonly cgroupParent: string;
  readonly idMap: IdMap;
  readonly slirp4netns: string;
  readonly resolvConf: string;
  readonly resolveInRoot: ResolveInRoot;
}

export interface SandboxRun {
  readonly host: SandboxHost;
  readonly spec: ProcessSpec;
  readonly rootfs: string;
  readonly output: OnOutput;
  readonly signal: AbortSignal;
  /** what is made goes in here, and is taken down in the opposite order */
  readonly resources: AsyncDisposableStack;
}

const killPauseMs = 10;
/** After that many rounds the runtime itself hangs. */
const killRounds = 500;

/** One process from the root it finds to its exit; its caller frees `resources`. */
export async function runSandbox(run: SandboxRun): Promise<Exit> {
  const { host, spec, resources, output, signal } = run;
  const plan = spec.network === 'default' ? planNetwork() : undefined;
  const { bundle, gate } = await prepare(run, plan);
  const pipes = resources.adopt(new OutputPipes(ownerOf(spec, host)), (made) => made.close());
  const cgroup = cgroupOf(run);
  let ended = false;
  resources.defer(async () => {
    if (ended) await host.runc.forget(spec.id);
    else await host.runc.delete(spec.id);
    await host.cgroups.remove(cgroup);
  });

  const stop = new AbortController();
  const process = host.runc.run(spec.id, bundle.dir, pipes.writeEnds);
  pipes.closeWriteEnds();
  const stopOn = <T>(work: Promise<T>): Promise<T> => {
    work.catch((thrown: unknown) => stop.abort(thrown));
    return work;
  };
  const connected = stopOn(connect(run, process, gate, plan));
  // A process that never stops writing ends only when its failing reader stops it.
  const drained = stopOn(pipes.drain((stream, chunk) => stopOn(handOver(output, stream, chunk))));
  const killed = killWhenAborted(AbortSignal.any([signal, stop.signal]), { run, process, gate });
  // All end before anything is taken down; the first failure is the one to tell.
  await Promise.allSettled([process.exited, connected, drained, killed]);
  signal.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  const exitCode = await process.exited;
  ended = true;
  if (exitCode === 0) return { exitCode, outOfMemory: false };
  const failure = await host.runc.failure(bundle.dir);
  if (failure === undefined) return { exitCode, outOfMemory: (await host.cgroups.oomKills(cgroup)) > 0 };
  const missing = commandFailure(failure);
  if (missing !== undefined) return { exitCode: missing, outOfMemory: false };
  if (/error mounting/.test(failure) && spec.mounts.length > 0) {
    throw new KilnError('STEP_FAILED', `what the step mounts cannot be mounted: ${failure}`, {
      hint: 'look at the targets: below a read-only mount nothing can be made, and /proc takes no mounts',
    });
  }
  throw new KilnError('SANDBOX_FAILED', `the sandbox could not be started: ${failure}`);
}

async function handOver(output: OnOutput, stream: 1 | 2, chunk: Uint8Array): Promise<void> {
  await output(stream, chunk);
}

const cgroupOf = ({ host, spec }: SandboxRun): string => `${host.cgroupParent}/${spec.id}`;

const ownerOf = ({ uid, gid }: ProcessSpec, { idMap }: SandboxHost): { uid: number; gid: number } => ({
  uid: idMap.hostId + uid - idMap.containerId,
  gid: idMap.hostId + gid - idMap.containerId,
});

/** The bundle with its files and the root with its mount points. */
async function prepare(
  run: SandboxRun,
  plan: NetworkPlan | undefined,
): Promise<{ bundle: Bundle; gate: NamespaceGate | undefined }> {
  const { host, spec, rootfs, resources } = run;
  const bundle = resources.adopt(await Bundle.create(join(host.bundles, spec.id)), (made) => made.remove());
  const mounts = [...(await networkFiles(bundle, run, plan)), ...byDepth(await placeFiles(bundle, run))];
  const points: MountPoint[] = [
    ...systemMountPoints.map((target) => ({ target, kind: 'dir' }) as const),
    ...(await Promise.all(mounts.map(pointOf))),
  ];
  const root = { uid: host.idMap.hostId, gid: host.idMap.hostId };
  resources.defer(
    await makeMountStubs(points, { rootfs, system: systemMountPoints, resolve: host.resolveInRoot, ...root }),
  );
  resources.defer(() => bundle.unmountRoot());
  bundle.mountRoot(rootfs);
  const gate = plan === undefined ? undefined : resources.adopt(new NamespaceGate(bundle.dir), (made) => made.close());
  const config = runtimeSpec(spec, {
    idMap: host.idMap,
    seccomp: host.seccomp,
    cgroupsPath: cgroupOf(run),
    rootfs: bundle.rootfs,
    mounts,
    limitsSwap: host.cgroups.limitsSwap(),
    namespacesReady: gate?.hook,
  });
  await bundle.write('config.json', specJson(config));
  return { bundle, gate };
}

/** The spec's mounts, its files as what lies in the bundle. */
function placeFiles(bundle: Bundle, { host, spec }: SandboxRun): Promise<readonly (BindMount | TmpfsMount)[]> {
  return Promise.all(
    spec.mounts.map((mount) => (mount.kind === 'file' ? bundle.place(mount, host.idMap) : Promise.resolve(mount))),
  );
}

async function networkFiles(
  bundle: Bundle,
  { host, spec }: SandboxRun,
  plan: NetworkPlan | undefined,
): Promise<readonly BindMount[]> {
  const node = await readFile(host.resolvConf, 'utf8');
  const resolver = spec.network === 'host' ? node : resolvConf(node, plan?.nameserver);
  const files = { '/etc/resolv.conf': resolver, '/etc/hosts': hosts(spec) };
  return await Promise.all(
    Object.entries(files).map(async ([target, text]) => ({
      kind: 'bind' as const,
      source: await bundle.write(posix.basename(target), text),
      target,
      readonly: true,
    })),
  );
}

async function pointOf(mount: BindMount | TmpfsMount): Promise<MountPoint> {
  const { target } = mount;
  // The runtime hands the mode of the directory on.
  if (mount.kind === 'tmpfs') return { target, kind: 'dir', mode: 0o1777 };
  return { target, kind: (await stat(mount.source)).isDirectory() ? 'dir' : 'file' };
}

async function connect(
  { host, resources }: SandboxRun,
  process: RuncRun,
  gate: NamespaceGate | undefined,
  plan: NetworkPlan | undefined,
): Promise<void> {
  if (gate === undefined || plan === undefined) return;
  const pid = await Promise.race([gate.reached(), process.exited.then(() => undefined)]);
  if (pid === undefined) return;
  resources.adopt(await SandboxNetwork.connect(host.slirp4netns, pid, plan), (made) => made.close());
  gate.open();
}

interface Killing {
  readonly run: SandboxRun;
  readonly process: RuncRun;
  readonly gate: NamespaceGate | undefined;
}

/** Resolves once the process ended, by itself or by force. */
async function killWhenAborted(signal: AbortSignal, { run, process, gate }: Killing): Promise<void> {
  let ended = false;
  const exit = process.exited.then(
    () => (ended = true),
    () => (ended = true),
  );
  const aborted = Promise.withResolvers<void>();
  const onAbort = (): void => aborted.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  await Promise.race([exit, aborted.promise]);
  signal.removeEventListener('abort', onAbort);
  for (let round = 1; !ended; round++) {
    gate?.refuse();
    // The runtime notices that its process died; killed itself, it would leave it behind.
    await run.host.cgroups.kill(cgroupOf(run));
    if (round === killRounds) process.child.kill('SIGKILL');
    await Promise.race([exit, delay(killPauseMs)]);
  }
}
