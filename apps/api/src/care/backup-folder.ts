import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type BlobInfo, FolderContentStore } from '#content';
import { type Digest, DigestSchema, Hasher } from '#oci';
import { KilnError, type Random, systemCode } from '#std';
import { z } from 'zod';

const FORMAT = 1;
const File = z.object({ name: z.string().regex(/^[\w.-]+$/), sizeBytes: z.int(), digest: DigestSchema });

/** What a directory of backups is of: written first, so that no other is written there. */
const Mark = z.object({ format: z.literal(FORMAT), keyFingerprint: z.string() });

/** A backup that is whole: written last. */
export const Manifest = Mark.extend({
  version: z.string(),
  migration: z.int(),
  /** of the snapshot */
  createdAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** pg_dump's custom format */
  database: File,
  /** a line for each blob: digest and size, in the order of digests */
  list: File,
  blobs: z.int(),
  bytes: z.int(),
  /** that lie at registries until somebody needs them */
  elsewhere: z.int(),
  /** that the farm had lost by then */
  lost: z.int(),
});
export type Manifest = z.infer<typeof Manifest>;

const MARK = 'kiln-backup.json';
const MANIFEST = 'manifest.json';
const NEW = '.new';
/** What a backup writes beside its blobs: all else in the directory is somebody's. */
const OWN = /^(?:database-[\w-]+\.dump|blobs-[\w-]+\.txt|(?:kiln-backup|manifest)\.json\.new)$/;

/** A directory of backups of one farm. */
export class BackupFolder {
  readonly #path: string;
  readonly #random: Random;

  constructor(path: string, random: Random) {
    this.#path = path;
    this.#random = random;
  }

  /** Blobs by digest, on the disk before they count; what is damaged stays where it is. */
  get content(): FolderContentStore {
    return new FolderContentStore({
      root: join(this.#path, 'blobs'),
      random: this.#random,
      durable: true,
      leaveDamaged: true,
    });
  }

  pathOf(name: string): string {
    return join(this.#path, name);
  }

  /** Makes it a directory of backups of this farm. @throws KilnError CONFLICT when it is something else */
  async claim(keyFingerprint: string): Promise<void> {
    await makeDirectory(this.#path);
    const mark = await this.#read(MARK, Mark);
    if (mark === undefined) {
      // Where the disk was full, the mark itself may have been cut short.
      if ((await readdir(this.#path)).some((name) => name !== `${MARK}${NEW}`))
        throw new KilnError('CONFLICT', `${this.#path} has other files in it`, { hint: 'name a new directory' });
      return await this.#write(MARK, { format: FORMAT, keyFingerprint });
    }
    if (mark.keyFingerprint !== keyFingerprint)
      throw new KilnError('CONFLICT', `${this.#path} has backups of a farm with another key`, {
        hint: 'name a new directory',
      });
  }

  /** The whole backup that is there; undefined when there is none yet. */
  async manifest(): Promise<Manifest | undefined> {
    return await this.#read(MANIFEST, Manifest);
  }

  /** @throws KilnError CONFLICT when there is no backup, or half of one */
  async wholeManifest(): Promise<Manifest> {
    const manifest = await this.manifest();
    if (manifest !== undefined) return manifest;
    const begun = (await this.#read(MARK, Mark)) !== undefined;
    throw new KilnError(
      'CONFLICT',
      begun ? `the backup in ${this.#path} is unfinished` : `there is no backup in ${this.#path}`,
      {
        hint: begun
          ? 'run kiln admin backup into it again, on the farm that it is of'
          : 'name the directory of a backup',
      },
    );
  }

  /** From here on this is the backup; what was of the one before goes. */
  async finish(manifest: Manifest): Promise<void> {
    await this.#write(MANIFEST, manifest);
    const kept = new Set([manifest.database.name, manifest.list.name]);
    for (const name of await readdir(this.#path)) if (OWN.test(name) && !kept.has(name)) await this.remove(name);
  }

  /** A file for another program to write, which none but the owner reads. @returns its path */
  async create(name: string): Promise<string> {
    await (await open(this.pathOf(name), 'wx', 0o600)).close();
    return this.pathOf(name);
  }

  /** Writes a list of blobs as it comes. */
  async writeList(name: string, blobs: AsyncIterable<BlobInfo>): Promise<void> {
    const file = await open(this.pathOf(name), 'wx', 0o600);
    try {
      for await (const lines of linesOf(blobs)) await file.writeFile(lines);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async *readList(name: string): AsyncIterable<BlobInfo> {
    const lines = createInterface({ input: createReadStream(this.pathOf(name)) });
    for await (const line of lines) {
      const [digest, size] = line.split(' ');
      yield { digest: DigestSchema.parse(digest), sizeBytes: Number(size) };
    }
  }

  /** Size and digest of a file. */
  async look(name: string): Promise<z.infer<typeof File>> {
    const hasher = new Hasher();
    for await (const chunk of createReadStream(this.pathOf(name))) hasher.update(z.instanceof(Uint8Array).parse(chunk));
    return { name, sizeBytes: hasher.sizeBytes, digest: hasher.digest() };
  }

  /** @throws KilnError CONFLICT when a file is not what the manifest says */
  async verify(file: z.infer<typeof File>): Promise<void> {
    const found = await this.look(file.name).catch((thrown: unknown) => {
      if (systemCode(thrown) !== 'ENOENT') throw thrown;
      return undefined;
    });
    if (found?.digest === file.digest) return;
    throw new KilnError('CONFLICT', `${this.pathOf(file.name)} is not what the backup wrote`, {
      hint: 'take another copy of the backup',
    });
  }

  async remove(name: string): Promise<void> {
    await rm(this.pathOf(name), { force: true });
  }

  async #read<T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const text = await readFile(this.pathOf(name), 'utf8').catch((thrown: unknown) => {
      if (['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) return undefined;
      throw thrown;
    });
    if (text === undefined) return undefined;
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new KilnError('CONFLICT', `${this.pathOf(name)} is no file of a backup that this version reads`, { cause });
    }
  }

  async #write(name: string, value: unknown): Promise<void> {
    const temporary = this.pathOf(`${name}${NEW}`);
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.pathOf(name));
    const folder = await open(this.#path, 'r');
    await folder.sync().finally(() => folder.close());
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    if (!['EEXIST', 'ENOTDIR'].includes(systemCode(cause) ?? '')) throw cause;
    throw new KilnError('CONFLICT', `${path} is no directory`, { hint: 'name a new directory', cause });
  }
}

const LINES = 1_000;

async function* linesOf(
  blobs: AsyncIterable<{ readonly digest: Digest; readonly sizeBytes: number }>,
): AsyncIterable<string> {
  let lines: string[] = [];
  for await (const { digest, sizeBytes } of blobs) {
    lines.push(`${digest} ${sizeBytes}\n`);
    if (lines.length < LINES) continue;
    yield lines.join('');
    lines = [];
  }
  yield lines.join('');
}
