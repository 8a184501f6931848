import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { canonicalJson, systemCode } from '#std';
import { removeTree } from './remove-tree.ts';
import type { IdShift } from './snapshotter.ts';

const Description = z.object({ name: z.string(), parent: z.string().nullable() });

export type Description = z.infer<typeof Description>;

export interface FoundSnapshot extends Description {
  readonly id: string;
}

/** Raise it when what lies on disk changes its meaning. */
const FORMAT = 1;

/**
 * The snapshotter's layout on disk, which nobody else knows: `l/<id>/{fs,work,snapshot.json}`, where the description is
 * there once the snapshot is committed, and `trash/<id>`.
 */
export class SnapshotFolder {
  readonly #root: string;
  #lastId = 0;
  readonly found: readonly FoundSnapshot[];

  private constructor(root: string, found: readonly FoundSnapshot[]) {
    this.#root = root;
    this.found = found;
    for (const { id } of found) this.#lastId = Math.max(this.#lastId, Number.parseInt(id, 36));
  }

  static async open(root: string, shift: IdShift): Promise<SnapshotFolder> {
    const layers = join(root, 'l');
    const trash = join(root, 'trash');
    // What was not synced may be torn after the machine went down: it counts for one boot.
    const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const state = canonicalJson({ format: FORMAT, shift: { uid: shift.uid, gid: shift.gid }, bootId });
    if ((await readOptional(join(root, 'state.json'))) !== state) {
      await removeTree(layers);
      await mkdir(root, { recursive: true, mode: 0o700 });
      await writeWhole(join(root, 'state.json'), state);
    }
    await removeTree(trash);
    for (const dir of [layers, trash]) await mkdir(dir, { recursive: true, mode: 0o700 });
    return new SnapshotFolder(root, await sweep(layers));
  }

  nextId(): string {
    return (++this.#lastId).toString(36);
  }

  get trash(): string {
    return join(this.#root, 'trash');
  }

  dir(id: string): string {
    return join(this.#root, 'l', id);
  }

  upper(id: string): string {
    return join(this.dir(id), 'fs');
  }

  work(id: string): string {
    return join(this.dir(id), 'work');
  }

  /** Makes it a committed one. */
  async describe(id: string, { name, parent }: Description): Promise<void> {
    await writeWhole(descriptionOf(this.dir(id)), canonicalJson({ name, parent }));
  }
}

const descriptionOf = (dir: string): string => join(dir, 'snapshot.json');

/** What is whole; the rest is removed. */
async function sweep(layers: string): Promise<readonly FoundSnapshot[]> {
  const found = new Map<string, FoundSnapshot>();
  const ids = await readdir(layers);
  for (const id of ids) {
    const description = await readDescription(descriptionOf(join(layers, id)));
    if (description !== undefined && !found.has(description.name)) found.set(description.name, { id, ...description });
  }
  const whole = (name: string | null): boolean => {
    if (name === null) return true;
    const snapshot = found.get(name);
    return snapshot !== undefined && whole(snapshot.parent);
  };
  const kept = [...found.values()].filter(({ name }) => whole(name));
  const keptIds = new Set(kept.map(({ id }) => id));
  for (const id of ids) if (!keptIds.has(id)) await removeTree(join(layers, id));
  return kept;
}

async function readDescription(path: string): Promise<Description | undefined> {
  const text = await readOptional(path);
  if (text === undefined) return undefined;
  try {
    return Description.parse(JSON.parse(text));
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof z.ZodError) return undefined;
    throw thrown;
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
