import { describe, expect, it } from 'vitest';
import { machines, parseHandler, registration, serves } from './binfmt.ts';

/** As the kernel shows what Debian's package registers. */
const aarch64 = `enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`;
const s390x = aarch64
  .replace('7f454c460201010000000000000000000200b700', '7f454c4602020100000000000000000000020016')
  .replace('feffffff', 'fffeffff');

const servedBy = (text: string): readonly string[] => {
  const handler = parseHandler(text);
  return handler === undefined ? [] : machines.filter((machine) => serves(handler, machine)).map(({ qemu }) => qemu);
};

describe('handlers of binfmt_misc', () => {
  it('are known by the programs that they start, not by their names', () => {
    expect(servedBy(aarch64)).toEqual(['aarch64']);
    expect(servedBy(s390x)).toEqual(['s390x']);
  });

  it('count only where they need nothing of the image', () => {
    expect(servedBy(aarch64.replace('POF', 'PO'))).toEqual([]);
    expect(servedBy(aarch64.replace('enabled', 'disabled'))).toEqual([]);
  });

  it('for endings of names, and for other formats, are none of ours', () => {
    expect(servedBy('enabled\ninterpreter /usr/bin/jexec\nflags: F\nextension .jar\n')).toEqual([]);
    expect(servedBy('enabled\ninterpreter /usr/bin/python3.11\nflags: F\noffset 0\nmagic a70d0d0a\n')).toEqual([]);
  });
});

describe('the registration of an emulator', () => {
  const line = String.raw`:qemu-arm:M::\x7f\x45:\xff\xff:/usr/libexec/qemu-binfmt/arm-binfmt-P:`;

  it('asks for the interpreter to be opened now', () => {
    expect(registration(`# comment\n${line}OPF\n`)).toBe(`${line}OPF`);
    expect(registration(`${line}OC`)).toBe(`${line}OCF`);
    expect(registration(line)).toBe(`${line}F`);
  });

  it('is not there in an empty file', () => {
    expect(registration('# nothing\n')).toBeUndefined();
  });
});
