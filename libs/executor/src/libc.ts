import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

type Text = string | null;
const mount: (source: string, target: string, type: Text, flags: number, data: Text) => number = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const umount2: (target: string, flags: number) => number = libc.func('int umount2(const char *target, int flags)');
const pipe2: (descriptors: Int32Array, flags: number) => number = libc.func('int pipe2(int *descriptors, int flags)');
const mkfifo: (path: string, mode: number) => number = libc.func('int mkfifo(const char *path, uint32_t mode)');
const setns: (descriptor: number, type: number) => number = libc.func('int setns(int descriptor, int type)');
const socket: (domain: number, type: number, protocol: number) => number = libc.func(
  'int socket(int domain, int type, int protocol)',
);
const send: (socket: number, message: Uint8Array, size: number, flags: number) => number = libc.func(
  'int64_t send(int socket, const uint8_t *message, size_t size, int flags)',
);
const recv: (socket: number, message: Uint8Array, size: number, flags: number) => number = libc.func(
  'int64_t recv(int socket, uint8_t *message, size_t size, int flags)',
);

/** Throws as Node's own system calls do (`code` is `EBUSY` and the like) when a call returned less than 0. */
function checked(result: number, call: string): number {
  if (result >= 0) return result;
  const errno = koffi.errno();
  const code = getSystemErrorName(-errno);
  throw Object.assign(new Error(`${code}: ${call}`), { code, errno, syscall: call });
}

const O_CLOEXEC = 0o2000000;

/** The kernel's calls that Node does not offer. Each blocks for microseconds at most. */
export const kernel = {
  bind(source: string, target: string, flags: number): void {
    checked(mount(source, target, null, flags, null), `mount '${target}'`);
  },
  /** A file system that has no device, under its own name. */
  mountVirtual(type: string, target: string): void {
    checked(mount(type, target, type, 0, null), `mount '${target}'`);
  },
  /** @param options such as `size=64m,mode=700` */
  mountTmpfs(target: string, flags: number, options: string): void {
    checked(mount('tmpfs', target, 'tmpfs', flags, options), `mount '${target}'`);
  },
  unmount(target: string, flags: number): void {
    checked(umount2(target, flags), `umount '${target}'`);
  },
  pipe(): { readonly read: number; readonly write: number } {
    const pair = new Int32Array(2);
    checked(pipe2(pair, O_CLOEXEC), 'pipe2');
    const [read, write] = pair;
    if (read === undefined || write === undefined) throw new Error('pipe2 gave no descriptors');
    return { read, write };
  },
  mkfifo(path: string, mode: number): void {
    checked(mkfifo(path, mode), `mkfifo '${path}'`);
  },
  setns(descriptor: number, type: number): void {
    checked(setns(descriptor, type), 'setns');
  },
  socket(domain: number, type: number, protocol: number): number {
    return checked(socket(domain, type, protocol), 'socket');
  },
  send(descriptor: number, message: Uint8Array): void {
    checked(send(descriptor, message, message.byteLength, 0), 'send');
  },
  receive(descriptor: number, into: Uint8Array): number {
    return checked(recv(descriptor, into, into.byteLength, 0), 'recv');
  },
};
