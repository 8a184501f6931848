import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

type Bytes = Uint8Array;

const mount: (source: string, target: Bytes, type: string | null, flags: number, data: string | null) => number =
  libc.func(
    'int mount(const char *source, const uint8_t *target, const char *type, unsigned long flags, const char *data)',
  );
const umount2: (target: Bytes, flags: number) => number = libc.func('int umount2(const uint8_t *target, int flags)');
const mknod: (path: Bytes, mode: number, device: number) => number = libc.func(
  'int mknod(const uint8_t *path, uint32_t mode, uint64_t device)',
);
const llistxattr: (path: Bytes, list: Bytes, size: number) => number = libc.func(
  'int64_t llistxattr(const uint8_t *path, uint8_t *list, size_t size)',
);
const lgetxattr: (path: Bytes, name: string, value: Bytes, size: number) => number = libc.func(
  'int64_t lgetxattr(const uint8_t *path, const char *name, uint8_t *value, size_t size)',
);
const lsetxattr: (path: Bytes, name: string, value: Bytes, size: number, flags: number) => number = libc.func(
  'int lsetxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)',
);
const lremovexattr: (path: Bytes, name: string) => number = libc.func(
  'int lremovexattr(const uint8_t *path, const char *name)',
);

const utimensat: (dir: number, path: Bytes, times: Bytes, flags: number) => number = libc.func(
  'int utimensat(int dir, const uint8_t *path, const uint8_t *times, int flags)',
);
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
/** In place of nanoseconds: the time stays. */
const UTIME_OMIT = 0x3fffffffn;
const NS_PER_S = 1_000_000_000n;

/** An error as Node's own system calls throw it: `code` is `EBUSY` and the like. */
function systemError(call: string, path: string | Buffer): Error {
  const errno = koffi.errno();
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}: ${call} '${path.toString()}'`), { code, errno, syscall: call });
}

function terminated(path: string | Buffer): Buffer {
  return Buffer.concat([typeof path === 'string' ? Buffer.from(path) : path, Buffer.of(0)]);
}

/** The kernel's calls that Node does not offer. Each blocks for microseconds and throws as Node's do. */
export const kernel = {
  mount(source: string, target: string, type: string | null, flags: number, data: string | null): void {
    if (mount(source, terminated(target), type, flags, data) !== 0) throw systemError('mount', target);
  },
  unmount(target: string, flags: number): void {
    if (umount2(terminated(target), flags) !== 0) throw systemError('umount', target);
  },
  mknod(path: string | Buffer, mode: number, device: number): void {
    if (mknod(terminated(path), mode, device) !== 0) throw systemError('mknod', path);
  },
  /** Names of all extended attributes, of a link itself where `path` is one. */
  listXattrs(path: string | Buffer): readonly string[] {
    const size = llistxattr(terminated(path), scratch, scratch.length);
    if (size < 0) throw systemError('llistxattr', path);
    return size === 0 ? [] : scratch.toString('utf8', 0, size - 1).split('\0');
  },
  getXattr(path: string | Buffer, name: string): Buffer {
    const size = lgetxattr(terminated(path), name, scratch, scratch.length);
    if (size < 0) throw systemError(`lgetxattr ${name}`, path);
    return Buffer.from(scratch.subarray(0, size));
  },
  setXattr(path: string | Buffer, name: string, value: Uint8Array): void {
    if (lsetxattr(terminated(path), name, value, value.byteLength, 0) !== 0)
      throw systemError(`lsetxattr ${name}`, path);
  },
  removeXattr(path: string | Buffer, name: string): void {
    if (lremovexattr(terminated(path), name) !== 0) throw systemError(`lremovexattr ${name}`, path);
  },
  /** Of a link itself where `path` is one. Node takes seconds as a number, which has no room for nanoseconds. */
  setMtime(path: string | Buffer, mtimeNs: bigint): void {
    const times = Buffer.alloc(32);
    const ns = ((mtimeNs % NS_PER_S) + NS_PER_S) % NS_PER_S;
    times.writeBigInt64LE(UTIME_OMIT, 8);
    times.writeBigInt64LE((mtimeNs - ns) / NS_PER_S, 16);
    times.writeBigInt64LE(ns, 24);
    if (utimensat(AT_FDCWD, terminated(path), times, AT_SYMLINK_NOFOLLOW) !== 0) throw systemError('utimensat', path);
  },
};

/** See {@link kernel}. */
export const setMtime = (path: string | Buffer, mtimeNs: bigint): void => kernel.setMtime(path, mtimeNs);

/** The kernel's limits of a list of names and of a value are 64 KiB each. Every thread has a copy of its own. */
const scratch = Buffer.alloc(64 * 1024);
