import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { BindMount, SandboxMount } from '#executor';
import type { ExecMount, ExecOp } from '#graph';
import { resolveInRoot } from '#snapshot';
import { KilnError, unreachable } from '#std';
import { AgentSocket } from './agent-socket.ts';
import type { CacheHold, CacheMounts } from './cache-mounts.ts';
import type { ContextTrees, SnapshotPart } from './context-trees.ts';
import type { Materialiser } from './materialiser.ts';
import type { MountVersions } from './mount-versions.ts';
import type { Ref } from './ref.ts';
import { lookAt, own } from './rooted-files.ts';
import type { BuildSession } from './session.ts';
import { seedCache, seedOf } from './seed-cache.ts';

type MountOf<Type extends ExecMount['type']> = Extract<ExecMount, { readonly type: Type }>;

/** What mounts of all steps of one build are made of. */
export interface MountSources {
  readonly materialiser: Materialiser;
  readonly caches: CacheMounts;
  /** whose cache mounts: project and scope */
  readonly cacheOwner: string;
  readonly mountVersions: MountVersions;
  readonly contexts: ContextTrees;
  readonly session: BuildSession;
}

export interface StepMountsOptions extends MountSources {
  readonly inputs: readonly Ref[];
  /** tells the step's readers something */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** What a step sees mounted, for as long as it is held. */
export class StepMounts implements AsyncDisposable {
  readonly mounts: SandboxMount[] = [];
  /** variables with secrets, `NAME=value` */
  readonly env: string[] = [];
  readonly #options: StepMountsOptions;
  readonly #held = new AsyncDisposableStack();
  readonly #lost = new AbortController();
  readonly #caches = new Map<string, CacheHold>();
  readonly #written = new Set<CacheHold>();

  private constructor(options: StepMountsOptions) {
    this.#options = options;
  }

  /** @throws KilnError STEP_FAILED, SOURCE_NOT_FOUND naming what is not there */
  static async open({ mounts = [] }: ExecOp, options: StepMountsOptions): Promise<StepMounts> {
    const step = new StepMounts(options);
    try {
      for (const mount of inOrder(mounts)) {
        options.signal.throwIfAborted();
        await step.#add(mount);
      }
      return step;
    } catch (thrown) {
      await step[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Aborted when the step cannot go on without its client. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** What the step left in its cache mounts is worth keeping. */
  succeeded(): void {
    for (const hold of this.#written) hold.succeeded();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }

  async #add(mount: ExecMount): Promise<void> {
    switch (mount.type) {
      case 'bind':
        this.mounts.push(await this.#bind(mount));
        return;
      case 'cache':
        this.mounts.push(await this.#cache(mount));
        return;
      case 'tmpfs': {
        const { target, sizeBytes, readonly = false } = mount;
        this.mounts.push({ kind: 'tmpfs', target, sizeBytes, readonly });
        return;
      }
      case 'secret':
        return this.#secret(mount);
      case 'ssh':
        return await this.#agent(mount);
      default:
        return unreachable(mount);
    }
  }

  async #bind({ target, input, source, readonly }: MountOf<'bind'>): Promise<BindMount> {
    const { materialiser } = this.#options;
    const { workspace, snapshotter } = materialiser;
    const part = await this.#part(input, source);
    let mounts = await snapshotter.view(part.snapshot);
    if (!readonly) {
      const key = workspace.name('b');
      mounts = await snapshotter.prepare(key, part.snapshot);
      this.#held.defer(() => snapshotter.remove(key));
    }
    const { path } = this.#held.use(await workspace.mount(mounts));
    // Nobody changes the tree before the step starts, so what is found here is what is mounted.
    const found = await resolveInRoot(path, part.path, { followLast: true });
    if ((await lookAt(found)) === undefined) {
      throw new KilnError('SOURCE_NOT_FOUND', `${JSON.stringify(`/${source}`)}: not found`, {
        hint: `the source of the mount at ${target} is not in the tree that it is taken from`,
      });
    }
    return { kind: 'bind', source: found, target, readonly, setuid: true };
  }

  async #part(input: number, source: string): Promise<SnapshotPart> {
    const ref = this.#options.inputs[input];
    if (ref === undefined) throw new KilnError('INTERNAL', `a mount without its input ${input}`);
    if (ref.kind === 'local') return await this.#options.contexts.part(ref, source);
    return { snapshot: await ref.snapshot(), path: source };
  }

  async #cache(mount: MountOf<'cache'>): Promise<BindMount> {
    const { caches, cacheOwner, mountVersions: versions, inputs, note, signal, materialiser } = this.#options;
    const { target, id, sharing, mode, uid, gid, readonly } = mount;
    const input = mount.input === undefined ? undefined : inputs[mount.input];
    const seed = input === undefined ? undefined : await seedOf(input, mount.source);
    // The same cache at two places of one step is one hold: the second would wait for the first.
    const name = JSON.stringify([id, seed, mode, uid, gid]);
    let hold = this.#caches.get(name);
    if (hold === undefined) {
      hold = await caches.acquire(
        { owner: cacheOwner, id, target, seed, mode, uid, gid, sharing },
        {
          signal,
          note,
          versions,
          fill: async (data) => {
            const root = { path: data, shift: materialiser.shift, clock: caches.clock };
            await own(root, data, { uid: 0, gid: 0 });
            await chmod(data, 0o755);
            if (input !== undefined) await seedCache(input, mount.source, { root, ...this.#options });
            const given = await lookAt(data);
            await own(root, data, {
              uid: uid ?? (given?.uid ?? 0) - materialiser.shift.uid,
              gid: gid ?? (given?.gid ?? 0) - materialiser.shift.gid,
            });
            if (mode !== undefined) await chmod(data, mode);
          },
        },
      );
      this.#caches.set(name, this.#held.use(hold));
    }
    if (!readonly) this.#written.add(hold);
    return { kind: 'bind', source: hold.path, target, readonly, setuid: true };
  }

  #secret({ id, target, env, required, mode, uid, gid }: MountOf<'secret'>): void {
    const data = this.#options.session.secrets.get(id);
    if (data === undefined) {
      if (!required) return;
      throw new KilnError('STEP_FAILED', `the secret ${JSON.stringify(id)} was not passed to this build`, {
        hint: `pass --secret id=${id},src=FILE or --secret id=${id},env=NAME`,
      });
    }
    if (target !== undefined) this.mounts.push({ kind: 'file', target, data, mode, uid, gid });
    if (env !== undefined) this.env.push(`${env}=${this.#variable(id, data)}`);
  }

  #variable(id: string, data: Uint8Array): string {
    const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8');
    if (!text.includes('\0')) return text;
    throw new KilnError('STEP_FAILED', `the secret ${JSON.stringify(id)} holds a NUL, which no variable can`, {
      hint: 'mount it as a file: leave env= out',
    });
  }

  async #agent({ id, target, required, mode, uid, gid }: MountOf<'ssh'>): Promise<void> {
    const { session, materialiser, signal } = this.#options;
    const { workspace, shift } = materialiser;
    const agent = session.agent(id);
    if (agent === undefined) {
      if (!required) return;
      throw new KilnError('STEP_FAILED', `no ssh agent ${JSON.stringify(id)} is forwarded to this build`, {
        hint: id === 'default' ? 'pass --ssh default' : `pass --ssh ${id}=SOCKET or --ssh ${id}=KEY`,
      });
    }
    await agent.ready(signal);
    const socket = await AgentSocket.open({
      agent,
      dir: join(workspace.dir, 'agents', workspace.name('')),
      owner: { uid: uid + shift.uid, gid: gid + shift.gid },
      mode,
      signal,
      onLost: (reason) => this.#lost.abort(reason),
    });
    this.#held.use(socket);
    this.mounts.push({ kind: 'bind', source: socket.path, target, readonly: false });
  }
}

/** Locks are taken in one order by all steps: so no two wait for each other. */
function inOrder(mounts: readonly ExecMount[]): readonly ExecMount[] {
  const caches = mounts.filter((mount) => mount.type === 'cache');
  const sorted = caches.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return [...mounts.filter((mount) => mount.type !== 'cache'), ...sorted];
}
