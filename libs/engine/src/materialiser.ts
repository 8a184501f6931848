import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeDelta } from '#content';
import { type Digest, hexOf, type Layer } from '#oci';
import { applyLayer, type IdShift, type Snapshotter } from '#snapshot';
import { type Bytes, isKilnError, KilnError, systemCode } from '#std';
import { chainIds } from './chain-id.ts';
import { layerTar } from './layer-stream.ts';
import { SharedFlights } from './shared-flights.ts';
import type { Workspace } from './workspace.ts';

const DELTA_AGE_MS = 30 * 86_400_000;

/** The bytes of a layer's blob, from wherever they are. */
export type OpenLayer = (layer: Layer, signal: AbortSignal) => Bytes;

/** Where layers become directories on this node; shared by its builds. Snapshots are found by chainID. */
export class Materialiser {
  readonly #flights = new SharedFlights<string>();

  constructor(
    readonly workspace: Workspace,
    readonly snapshotter: Snapshotter,
    readonly shift: IdShift,
  ) {}

  /**
   * The committed snapshot with exactly these layers; what is missing is unpacked on top of what is there.
   * @param claimed only somebody's config says that the blobs are of these diffIDs: a blob that was never unpacked as such a
   * layer here is read once, whatever this node has by that chainID
   * @throws KilnError BLOB_CORRUPT for a blob that is another layer
   */
  async snapshot(layers: readonly Layer[], open: OpenLayer, signal: AbortSignal, claimed = false): Promise<string> {
    const chain = chainIds(layers.map((layer) => layer.diffId));
    let name = await this.empty();
    for (const [index, layer] of layers.entries()) {
      const id = chain[index];
      if (id === undefined) throw new KilnError('INTERNAL', 'a layer without chainID');
      const parent = name;
      const known = await this.find(id);
      name = known ?? (await this.#flights.join(id, signal, (shared) => this.#unpack(id, parent, layer, open, shared)));
      if (claimed) await this.#verify(layer, open, signal);
    }
    return name;
  }

  /** The committed snapshot of a chain, if this node has it. */
  async find(chainId: Digest): Promise<string | undefined> {
    const name = await readText(this.#chainFile(chainId));
    return name !== undefined && this.snapshotter.has(name) ? name : undefined;
  }

  /** Makes a committed snapshot known as that of a chain. */
  async adopt(chainId: Digest, name: string): Promise<void> {
    if ((await this.find(chainId)) === undefined) await this.#write(this.#chainFile(chainId), name);
  }

  /** A layer that was made here is what it says. */
  async prove(layer: Layer): Promise<void> {
    await this.#write(this.#pairFile(layer), '');
  }

  /** The encoded delta of a layer that was unpacked here. */
  async delta(diffId: Digest): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#deltaFile(diffId));
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return undefined;
      throw thrown;
    }
  }

  /** Unpacks layers again whose deltas are unknown, beside the snapshots that are there. */
  async restoreDeltas(layers: readonly Layer[], open: OpenLayer, signal: AbortSignal): Promise<void> {
    let parent = await this.empty();
    const chain = chainIds(layers.map((layer) => layer.diffId));
    for (const [index, layer] of layers.entries()) {
      const id = chain[index];
      if (id === undefined) continue;
      const known = (await this.delta(layer.diffId)) === undefined ? undefined : await this.find(id);
      parent =
        known ??
        (await this.#flights.join(`delta ${id}`, signal, (shared) => this.#unpack(id, parent, layer, open, shared)));
    }
  }

  /** Forgets where snapshots were that are no more, and deltas that have been recorded for long. For when nothing runs yet. */
  async sweep(nowMs: number): Promise<void> {
    const chains = join(this.workspace.dir, 'chains');
    for (const name of await readdir(chains)) {
      const snapshot = await readText(join(chains, name));
      if (snapshot === undefined || !this.snapshotter.has(snapshot)) await rm(join(chains, name), { force: true });
    }
    for (const kind of ['deltas', 'pairs']) {
      const folder = join(this.workspace.dir, kind);
      for (const name of await readdir(folder)) {
        const { mtimeMs } = await stat(join(folder, name));
        if (mtimeMs < nowMs - DELTA_AGE_MS) await rm(join(folder, name), { force: true });
      }
    }
  }

  /** The committed snapshot with nothing in it. */
  async empty(): Promise<string> {
    const name = 'empty';
    if (this.snapshotter.has(name)) return name;
    const key = this.workspace.name('e');
    await this.snapshotter.prepare(key, null);
    await this.snapshotter.commit(name, key);
    return name;
  }

  async #verify(layer: Layer, open: OpenLayer, signal: AbortSignal): Promise<void> {
    const file = this.#pairFile(layer);
    if ((await readText(file)) !== undefined) return;
    await this.#flights.join(`pair ${file}`, signal, async (shared) => {
      for await (const _ of layerTar(layer, open(layer, shared)));
      await this.#write(file, '');
      return file;
    });
  }

  async #unpack(id: Digest, parent: string, layer: Layer, open: OpenLayer, signal: AbortSignal): Promise<string> {
    const key = this.workspace.name('u');
    const mounts = await this.snapshotter.prepare(key, parent);
    try {
      await using mounted = await this.workspace.mount(mounts);
      const tar = layerTar(layer, open(layer, signal));
      const delta = await applyLayer({ tar, root: mounted.path, shift: this.shift });
      await this.#write(this.#deltaFile(layer.diffId), encodeDelta(delta));
      await this.#write(this.#pairFile(layer), '');
    } catch (thrown) {
      await this.snapshotter.remove(key);
      if (isKilnError(thrown)) throw thrown;
      signal.throwIfAborted();
      throw new KilnError('BLOB_CORRUPT', `layer ${layer.descriptor.digest} cannot be unpacked`, { cause: thrown });
    }
    // A name of its own each time: the same chain may be unpacked again to restore its delta.
    const name = this.workspace.name('c');
    await this.snapshotter.commit(name, key);
    await this.#write(this.#chainFile(id), name);
    return name;
  }

  #chainFile(chainId: Digest): string {
    return join(this.workspace.dir, 'chains', hexOf(chainId));
  }

  #pairFile({ descriptor, diffId }: Layer): string {
    return join(this.workspace.dir, 'pairs', `${hexOf(descriptor.digest)}-${hexOf(diffId)}`);
  }

  #deltaFile(diffId: Digest): string {
    return join(this.workspace.dir, 'deltas', hexOf(diffId));
  }

  async #write(path: string, content: string | Uint8Array): Promise<void> {
    const temporary = join(this.workspace.dir, 'tmp', this.workspace.name('w'));
    await writeFile(temporary, content);
    await rename(temporary, path);
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
