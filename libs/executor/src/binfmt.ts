import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A processor, by what QEMU calls it and by the head of its programs. */
export interface Machine {
  readonly qemu: string;
  readonly platforms: readonly string[];
  /** of ELF: 1 for 32, 2 for 64 bits */
  readonly elfClass: 1 | 2;
  readonly littleEndian: boolean;
  /** e_machine */
  readonly number: number;
}

/** https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html */
export const machines: readonly Machine[] = [
  { qemu: 'x86_64', platforms: ['linux/amd64'], elfClass: 2, littleEndian: true, number: 62 },
  { qemu: 'i386', platforms: ['linux/386'], elfClass: 1, littleEndian: true, number: 3 },
  { qemu: 'aarch64', platforms: ['linux/arm64'], elfClass: 2, littleEndian: true, number: 183 },
  { qemu: 'arm', platforms: ['linux/arm/v7'], elfClass: 1, littleEndian: true, number: 40 },
  { qemu: 'riscv64', platforms: ['linux/riscv64'], elfClass: 2, littleEndian: true, number: 243 },
  { qemu: 'ppc64le', platforms: ['linux/ppc64le'], elfClass: 2, littleEndian: true, number: 21 },
  { qemu: 's390x', platforms: ['linux/s390x'], elfClass: 2, littleEndian: false, number: 22 },
  { qemu: 'loongarch64', platforms: ['linux/loong64'], elfClass: 2, littleEndian: true, number: 258 },
  { qemu: 'mips64el', platforms: ['linux/mips64le'], elfClass: 2, littleEndian: true, number: 8 },
];

/** What the kernel starts for programs of some format. */
export interface Handler {
  readonly enabled: boolean;
  readonly interpreter: string;
  /** `F`: the interpreter was opened at registration, so that no root file system needs to have it */
  readonly flags: string;
  readonly offset: number;
  readonly magic: Uint8Array;
  readonly mask: Uint8Array | undefined;
}

/** The text of `/proc/sys/fs/binfmt_misc/NAME`; undefined for handlers of file name extensions. */
export function parseHandler(text: string): Handler | undefined {
  const [state = ''] = text.split('\n', 1);
  const value = (name: string): string | undefined => new RegExp(`^${name}:? (.*)$`, 'm').exec(text)?.[1]?.trim();
  const magic = value('magic');
  if (magic === undefined) return undefined;
  const mask = value('mask');
  return {
    enabled: state.trim() === 'enabled',
    interpreter: value('interpreter') ?? '',
    flags: value('flags') ?? '',
    offset: Number(value('offset') ?? 0),
    magic: Buffer.from(magic, 'hex'),
    mask: mask === undefined ? undefined : Buffer.from(mask, 'hex'),
  };
}

/** Whether it starts the machine's programs in any root file system. */
export function serves({ enabled, flags, offset, magic, mask }: Handler, machine: Machine): boolean {
  if (!enabled || !flags.includes('F')) return false;
  const head = elfHead(machine);
  return magic.every((byte, index) => {
    const found = head[offset + index];
    return found !== undefined && ((found ^ byte) & (mask?.[index] ?? 0xff)) === 0;
  });
}

/** The first bytes of a statically linked program. */
function elfHead({ elfClass, littleEndian, number }: Machine): Uint8Array {
  const head = Buffer.alloc(20);
  head.write('\x7fELF', 'latin1');
  head[4] = elfClass;
  head[5] = littleEndian ? 1 : 2;
  head[6] = 1;
  const ET_EXEC = 2;
  if (littleEndian) head.writeUInt16LE(ET_EXEC, 16);
  else head.writeUInt16BE(ET_EXEC, 16);
  if (littleEndian) head.writeUInt16LE(number, 18);
  else head.writeUInt16BE(number, 18);
  return head;
}

/** All handlers of the kernel; none where its file system is not mounted at `dir`. */
export async function readHandlers(dir: string): Promise<readonly Handler[]> {
  const names = (await readdir(dir)).filter((name) => name !== 'register' && name !== 'status');
  const texts = await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8').catch(() => '')));
  return texts.flatMap((text) => parseHandler(text) ?? []);
}

/**
 * The line that registers a machine's emulator, from a file of binfmt.d(5) that a package of QEMU brings; its interpreter is
 * to be opened now.
 */
export function registration(conf: string): string | undefined {
  const line = conf.split('\n').find((each) => each.startsWith(':'));
  if (line === undefined) return undefined;
  const flags = line.slice(line.lastIndexOf(':') + 1);
  return flags.includes('F') ? line : `${line}F`;
}
