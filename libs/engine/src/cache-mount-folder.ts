import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '#snapshot';
import { systemCode } from '#std';
import { z } from 'zod';
import { bytesOnDisk } from './bytes-on-disk.ts';

const About = z.object({
  id: z.string(),
  scope: z.string(),
  usedAtMs: z.int(),
  sizeBytes: z.int(),
  base: z.object({ scopeId: z.string(), version: z.int() }).optional(),
  behind: z.boolean().default(false),
  /** while it is made another: what is found so is neither */
  torn: z.boolean().default(false),
});
/** What of a copy people and the next process want to know. */
export type CopyAbout = z.infer<typeof About>;

export interface FoundCopy extends CopyAbout {
  readonly key: string;
  readonly number: number;
}

/**
 * Cache mounts on disk, which nobody else knows: `c/<key>/<number>/{data,index,about.json}`; keys are hexadecimal, so that no id
 * leads anywhere. `index` is what of it agrees with the version that it stands on. `new` holds what is not whole yet, `trash` what is being removed.
 */
export class CacheMountFolder {
  readonly #root: string;
  #names = 0;

  private constructor(
    root: string,
    readonly found: readonly FoundCopy[],
  ) {
    this.#root = root;
  }

  static async open(root: string): Promise<CacheMountFolder> {
    for (const name of ['new', 'trash']) await removeTree(join(root, name));
    for (const dir of [root, ...['c', 'new', 'trash'].map((name) => join(root, name))]) {
      await mkdir(dir, { recursive: true });
      // Steps are nobody here, and have to reach what is mounted from it.
      await chmod(dir, 0o711);
    }
    return new CacheMountFolder(root, await findCopies(join(root, 'c')));
  }

  /** The directory that steps see. */
  data(key: string, number: number): string {
    return join(this.#copy(key, number), 'data');
  }

  /** The file with what is known of the directory; it need not be there. */
  index(key: string, number: number): string {
    return join(this.#copy(key, number), 'index');
  }

  /** An empty directory for what is on its way. */
  async staging(): Promise<Staging> {
    const path = join(this.#root, 'new', this.#name());
    await mkdir(path, { mode: 0o700 });
    return { path, [Symbol.asyncDispose]: () => removeTree(path) };
  }

  /** Makes a copy; it is there when `fill` has succeeded with its directory and its index, or not at all. */
  async create(key: string, number: number, fill: (data: string, index: string) => Promise<void>): Promise<void> {
    const dir = join(this.#root, 'new', this.#name());
    try {
      await mkdir(join(dir, 'data'), { recursive: true });
      await chmod(dir, 0o711);
      await fill(join(dir, 'data'), join(dir, 'index'));
      await mkdir(join(this.#root, 'c', key), { recursive: true });
      await chmod(join(this.#root, 'c', key), 0o711);
      await rename(dir, this.#copy(key, number));
    } catch (thrown) {
      await removeTree(dir);
      throw thrown;
    }
  }

  async describe(key: string, number: number, about: CopyAbout): Promise<void> {
    const path = join(this.#copy(key, number), 'about.json');
    const temporary = `${path}.${this.#name()}`;
    await writeFile(temporary, JSON.stringify(about), { mode: 0o600 });
    await rename(temporary, path);
  }

  async replaceIndex(file: string, index: string): Promise<void> {
    await rename(file, index);
  }

  /** Bytes on disk. */
  async measure(key: string, number: number): Promise<number> {
    const [bytes = 0] = await bytesOnDisk([this.data(key, number)]);
    return bytes;
  }

  async remove(key: string, number: number): Promise<void> {
    const trash = join(this.#root, 'trash', this.#name());
    await rename(this.#copy(key, number), trash);
    await removeTree(trash);
  }

  #copy(key: string, number: number): string {
    return join(this.#root, 'c', key, String(number));
  }

  #name(): string {
    return `${process.pid}-${++this.#names}`;
  }
}

export interface Staging extends AsyncDisposable {
  readonly path: string;
}

async function findCopies(dir: string): Promise<readonly FoundCopy[]> {
  const found: FoundCopy[] = [];
  for (const key of await readdir(dir)) {
    for (const name of await readdir(join(dir, key))) {
      const about = await readAbout(join(dir, key, name, 'about.json'));
      if (about.torn) {
        await removeTree(join(dir, key, name));
        continue;
      }
      found.push({ key, number: Number(name), ...about });
    }
  }
  return found;
}

/** A copy whose description is lost is the first to go. */
async function readAbout(path: string): Promise<CopyAbout> {
  try {
    return About.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (thrown) {
    if (systemCode(thrown) !== 'ENOENT' && !(thrown instanceof SyntaxError) && !(thrown instanceof z.ZodError))
      throw thrown;
    return { id: '', scope: '', usedAtMs: 0, sizeBytes: 0, behind: false, torn: false };
  }
}
