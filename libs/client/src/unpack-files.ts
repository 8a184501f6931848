import { constants, type Stats } from 'node:fs';
import { chmod, link, lstat, mkdir, open, rm, symlink, unlink, utimes } from 'node:fs/promises';
import { type Bytes, KilnError, systemCode } from '#std';
import { readTar, type TarEntry, type TarHeader } from '#tar';

export interface UnpackOptions {
  /** an existing directory; what is in it stays, save where the archive has something of that name */
  readonly into: string;
  /** told what this user, or this system, cannot make: devices, pipes, sockets */
  readonly onLeftOut?: ((name: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the archive gave a directory, put on it when nothing goes into it any more. */
interface Directory {
  readonly path: Buffer;
  readonly mode: number;
  readonly mtime: number;
}

/**
 * Unpacks a tar as a stream: files, directories, symbolic and hard links, with modes and times, owned by who runs this.
 * Nothing outside of the directory is read, made or changed, whatever names and links the archive or the directory has.
 * @throws KilnError CONTEXT_INVALID for an entry that leads out; BLOB_CORRUPT when it is no tar; what the source throws
 */
export async function unpackFiles(source: Bytes, options: UnpackOptions): Promise<void> {
  const root = new Unpacking(options);
  for await (const entry of readTar(source)) {
    options.signal?.throwIfAborted();
    await root.place(entry);
  }
  await root.finish();
}

const SLASH = Buffer.from('/');
const MODES = 0o7777;
const OWNER = 0o700;

class Unpacking {
  readonly #root: Buffer;
  readonly #options: UnpackOptions;
  /** made or met in this archive; names as latin1, one character a byte */
  readonly #directories = new Map<string, Directory>();
  readonly #files = new Set<string>();

  constructor(options: UnpackOptions) {
    this.#options = options;
    this.#root = Buffer.from(options.into);
  }

  async place({ header, body }: TarEntry): Promise<void> {
    const name = cleanName(header.name);
    if (name === '') return;
    await this.#parent(name);
    const path = this.#path(name);
    switch (header.type) {
      case 'dir':
        return await this.#directory(name, header);
      case 'file':
        return await this.#file(name, header, body);
      case 'symlink':
        await this.#clear(name, path);
        return await symlink(header.link ?? Buffer.alloc(0), path);
      case 'link': {
        const target = cleanName(header.link ?? Buffer.alloc(0));
        if (!this.#files.has(target))
          throw refused(name, `it links to ${shown(target)}, which the archive has not given`);
        await this.#clear(name, path);
        await link(this.#path(target), path);
        this.#files.add(name);
        return;
      }
      case 'char':
      case 'block':
      case 'fifo':
        this.#options.onLeftOut?.(shown(name));
    }
  }

  /** Innermost first: a directory may forbid to touch what is in it. */
  async finish(): Promise<void> {
    for (const { path, mode, mtime } of [...this.#directories.values()].reverse()) {
      await chmod(path, mode);
      await utimes(path, mtime, mtime);
    }
  }

  /** Each directory above is one that this archive has made or met as a directory: never a link. */
  async #parent(name: string): Promise<void> {
    const parent = name.slice(0, Math.max(name.lastIndexOf('/'), 0));
    if (parent === '' || this.#directories.has(parent)) return;
    await this.#parent(parent);
    const found = await lstatOf(this.#path(parent));
    if (found === undefined || !found.isDirectory()) throw refused(name, `${shown(parent)} is no directory`);
    this.#directories.set(parent, { path: this.#path(parent), mode: found.mode & MODES, mtime: found.mtimeMs / 1000 });
    await chmod(this.#path(parent), (found.mode & MODES) | OWNER);
  }

  async #directory(name: string, { mode, mtime }: TarHeader): Promise<void> {
    const path = this.#path(name);
    const found = await lstatOf(path);
    if (found !== undefined && !found.isDirectory()) await this.#clear(name, path);
    if (found?.isDirectory() === true) await chmod(path, mode | OWNER);
    else await mkdir(path, { mode: OWNER });
    // Anew at the end: what lies in it comes before it then.
    this.#directories.delete(name);
    this.#directories.set(name, { path, mode, mtime });
  }

  async #file(name: string, { mode, mtime }: TarHeader, body: Bytes): Promise<void> {
    const path = this.#path(name);
    await this.#clear(name, path);
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
    await using file = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
    for await (const chunk of body) {
      this.#options.signal?.throwIfAborted();
      await file.writeFile(chunk);
    }
    await file.chmod(mode & MODES);
    await file.utimes(mtime, mtime);
    this.#files.add(name);
  }

  /** Makes room for what is no directory. */
  async #clear(name: string, path: Buffer): Promise<void> {
    const found = await lstatOf(path);
    if (found === undefined) return;
    if (this.#directories.has(name)) throw refused(name, 'the archive has a directory of that name');
    this.#files.delete(name);
    if (found.isDirectory()) await rm(path, { recursive: true });
    else await unlink(path);
  }

  #path(name: string): Buffer {
    return Buffer.concat([this.#root, SLASH, Buffer.from(name, 'latin1')]);
  }
}

/** The components of a name that lead somewhere. @throws KilnError CONTEXT_INVALID for one that leads out */
function cleanName(bytes: Buffer): string {
  const name = bytes.toString('latin1');
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..') || name.startsWith('/') || name.includes('\0')) {
    throw refused(name, 'its name leads out of the directory');
  }
  return components.join('/');
}

async function lstatOf(path: Buffer): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

const shown = (name: string): string => JSON.stringify(Buffer.from(name, 'latin1').toString());

const refused = (name: string, why: string): KilnError =>
  new KilnError('CONTEXT_INVALID', `the archive’s entry ${shown(name)} is not unpacked: ${why}`);
