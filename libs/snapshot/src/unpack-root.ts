import {
  chmodSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  type Stats,
  symlinkSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { decodePath, encodePath, joinPath, type TreeEntry } from '#content';
import { type Bytes, KilnError } from '#std';
import type { TarHeader } from '#tar';
import { hashFile } from './hash-file.ts';
import { LayerDelta } from './layer-delta.ts';
import { kernel } from './libc.ts';
import { asText, onDisk } from './on-disk.ts';
import { insideRoot, statOf } from './resolve-in-root.ts';
import type { IdShift } from './snapshotter.ts';
import { deviceOf, rdevOf, seconds, typeOf } from './stat.ts';
import { writeFileFrom } from './write-file.ts';
import { keptXattrs, readXattrs, writeXattrs } from './xattrs.ts';

const modes = { char: 0o020000, block: 0o060000, fifo: 0o010000 };

/** A tree that a layer is unpacked into. Paths are relative to it and have no links among their parents. */
export class UnpackRoot {
  readonly delta = new LayerDelta();
  readonly #root: string;
  readonly #shift: IdShift;
  /** mtimes that directories get back at the end, when nothing is put into them any more */
  readonly #dirTimes = new Map<string, number>();

  constructor(root: string, shift: IdShift) {
    this.#root = root;
    this.#shift = shift;
  }

  /** Resolves a directory's path, and makes what is missing of it. */
  parent(path: string): string {
    const resolved = insideRoot(this.#root, path, true);
    if (this.#dirTimes.has(resolved)) return resolved;
    let current = '';
    for (const name of ['', ...resolved.split('/')]) {
      current = joinPath(current, name);
      const found = this.#stat(current);
      if (found === undefined) this.#makeDir(current);
      else if (!found.isDirectory())
        throw new KilnError('BLOB_CORRUPT', `entries lie below /${current}, which is no directory`);
      else if (!this.#dirTimes.has(current)) this.#dirTimes.set(current, found.mtimeMs / 1000);
    }
    return resolved;
  }

  async place(path: string, header: TarHeader, body: Bytes): Promise<void> {
    if (header.type === 'link') return await this.#link(path, header);
    const found = this.#stat(path);
    if (header.type === 'dir') {
      if (found !== undefined && !found.isDirectory()) await this.#clear(path);
      return this.dir(path, header);
    }
    if (found !== undefined) await this.#clear(path);
    await this.#make(path, header, body);
  }

  dir(path: string, header: TarHeader): void {
    if (this.#stat(path) === undefined) mkdirSync(this.#disk(path));
    const known = this.delta.get(path);
    const opaque = known?.type === 'dir' && known.opaque === true;
    this.#finish(path, header);
    this.delta.put({ ...this.#entryOf(path, header), type: 'dir', ...(opaque ? { opaque } : {}) });
    this.#dirTimes.set(path, header.mtime);
  }

  async whiteout(path: string): Promise<void> {
    if (this.#stat(path) === undefined) return;
    await this.#clear(path);
    this.delta.put({ path, type: 'whiteout' });
  }

  /** Removes what lower layers have in a directory; what this layer put there stays. */
  async makeOpaque(dir: string): Promise<void> {
    await this.#clearLower(dir);
    const known = this.delta.get(dir);
    const entry = known?.type === 'dir' ? known : this.#entryOnDisk(dir);
    this.delta.put({ ...entry, opaque: true });
  }

  finish(): void {
    for (const [path, mtime] of this.#dirTimes) {
      if (this.#stat(path)?.isDirectory() === true) lutimesSync(this.#disk(path), mtime, mtime);
    }
  }

  async #clearLower(dir: string): Promise<void> {
    for (const bytes of readdirSync(this.#disk(dir), { encoding: 'buffer' })) {
      const path = joinPath(dir, asText(bytes));
      if (!this.delta.has(path)) await this.#clear(path);
      else if (this.#stat(path)?.isDirectory() === true) await this.#clearLower(path);
    }
  }

  /** Removes what stands there, of this layer or of a lower one. */
  async #clear(path: string): Promise<void> {
    await rm(this.#disk(path), { recursive: true, force: true });
    this.delta.forget(path);
    for (const dir of this.#dirTimes.keys()) if (dir === path || dir.startsWith(`${path}/`)) this.#dirTimes.delete(dir);
  }

  async #make(path: string, header: TarHeader, body: Bytes): Promise<void> {
    const entry = this.#entryOf(path, header);
    const disk = this.#disk(path);
    switch (header.type) {
      case 'file': {
        const digest = await writeFileFrom(body, disk);
        this.delta.put({ ...entry, type: 'file', size: header.size, digest });
        break;
      }
      case 'symlink': {
        const link = decodePath(header.link ?? Buffer.alloc(0));
        symlinkSync(encodePath(link), disk);
        this.delta.put({ ...entry, type: 'symlink', mode: 0o777, link });
        break;
      }
      case 'char':
      case 'block': {
        const device = { major: header.major ?? 0, minor: header.minor ?? 0 };
        // On an overlay such a node is a whiteout, which a layer has other means to ask for.
        if (header.type === 'char' && rdevOf(device) === 0)
          throw new KilnError('BLOB_CORRUPT', `it has the device 0:0 at /${path}`);
        kernel.mknod(disk, modes[header.type], rdevOf(device));
        this.delta.put({ ...entry, type: header.type, device });
        break;
      }
      case 'fifo':
        kernel.mknod(disk, modes.fifo, 0);
        this.delta.put({ ...entry, type: 'fifo' });
        break;
      case 'dir':
      case 'link':
        throw new KilnError('INTERNAL', `${header.type} is made elsewhere`);
    }
    this.#finish(path, header);
  }

  async #link(path: string, header: TarHeader): Promise<void> {
    const target = insideRoot(this.#root, decodePath(header.link ?? Buffer.alloc(0)), false);
    if (target === path) return;
    if (this.#stat(target) === undefined || target === '') {
      throw new KilnError('BLOB_CORRUPT', `it links /${path} to /${target}, which is not there`);
    }
    if (this.#stat(path) !== undefined) await this.#clear(path);
    linkSync(this.#disk(target), this.#disk(path));
    const known = this.delta.get(target);
    const entry = known === undefined || known.type === 'whiteout' ? this.#entryOnDisk(target) : known;
    const { mode, uid, gid, mtime } = header;
    // What the entry of a further name says holds for the file, as in containerd and docker: the last one counts.
    const settled = { ...entry, ...(entry.type === 'symlink' ? { uid, gid, mtime } : { mode, uid, gid, mtime }) };
    this.#settle(path, settled);
    this.delta.put(settled);
    if (settled.type === 'file') this.delta.link(path, settled);
    else this.delta.put({ ...settled, path });
  }

  /** Owner, mode and time of what has several names; its attributes stay. Changing the owner clears set-id bits and capabilities. */
  #settle(path: string, { type, mode, uid, gid, mtime, xattrs }: TreeEntry): void {
    const disk = this.#disk(path);
    lchownSync(disk, uid + this.#shift.uid, gid + this.#shift.gid);
    if (type === 'file') writeXattrs(disk, xattrs ?? {}, this.#shift);
    if (type !== 'symlink') chmodSync(disk, mode);
    lutimesSync(disk, mtime, mtime);
  }

  /** Owner first: changing it clears set-id bits and capabilities. */
  #finish(path: string, header: TarHeader): void {
    const disk = this.#disk(path);
    lchownSync(disk, header.uid + this.#shift.uid, header.gid + this.#shift.gid);
    const xattrs = keptXattrs(header.xattrs ?? new Map());
    if (header.type === 'file' || header.type === 'dir') writeXattrs(disk, xattrs ?? {}, this.#shift);
    if (header.type !== 'symlink') chmodSync(disk, header.mode);
    lutimesSync(disk, header.mtime, header.mtime);
  }

  #makeDir(path: string): void {
    mkdirSync(this.#disk(path));
    chmodSync(this.#disk(path), 0o755);
    lchownSync(this.#disk(path), this.#shift.uid, this.#shift.gid);
    lutimesSync(this.#disk(path), 0, 0);
    this.#dirTimes.set(path, 0);
    this.delta.put({ path, type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0 });
  }

  #entryOf(path: string, header: TarHeader): Omit<TreeEntry, 'type'> {
    const keeps = header.type === 'file' || header.type === 'dir';
    const xattrs = keeps ? keptXattrs(header.xattrs ?? new Map()) : undefined;
    const { mode, uid, gid, mtime } = header;
    return { path, mode, uid, gid, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
  }

  /** What a lower layer has there. */
  #entryOnDisk(path: string): TreeEntry {
    const disk = this.#disk(path);
    const stat = this.#stat(path);
    const type = stat === undefined ? undefined : typeOf(stat);
    if (stat === undefined || type === undefined) throw new KilnError('INTERNAL', `nothing at /${path}`);
    const { kept } = readXattrs(disk, this.#shift);
    return {
      path,
      type,
      mode: stat.mode & 0o7777,
      uid: stat.uid - this.#shift.uid,
      gid: stat.gid - this.#shift.gid,
      mtime: seconds(stat),
      ...(type === 'file' ? { size: stat.size, digest: hashFile(disk) } : {}),
      ...(type === 'symlink' ? { link: asText(readlinkSync(disk, 'buffer')) } : {}),
      ...(type === 'char' || type === 'block' ? { device: deviceOf(stat.rdev) } : {}),
      ...(kept === undefined ? {} : { xattrs: kept }),
    };
  }

  #stat(path: string): Stats | undefined {
    return statOf(this.#disk(path));
  }

  #disk(path: string): string | Buffer {
    return onDisk(this.#root, path);
  }
}
