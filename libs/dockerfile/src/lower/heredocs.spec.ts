import { describe, expect, test } from 'vitest';
import { created, lower, ops } from './lowered.fixture.ts';

const sh = ['/bin/sh', '-c'];

describe('RUN with a here-document', () => {
  test('alone: its text is the command', async () => {
    const lowered = await lower('FROM scratch\nRUN <<EOF\necho $A "b"\necho c\nEOF\n');
    expect(ops(lowered).at(-1)).toMatchObject({ args: [...sh, 'echo $A "b"\necho c\n'] });
  });

  test('of <<-: without leading tabs', async () => {
    const lowered = await lower('FROM scratch\nRUN <<-EOF\n\t\techo a\n\t b\n\tEOF\n');
    expect(ops(lowered).at(-1)).toMatchObject({ args: [...sh, 'echo a\n b\n'] });
  });

  test('with other words: the shell reads it', async () => {
    const text = "cat <<-'A' <<B > /x\n\t$a\nA\nb\nB";
    const lowered = await lower(`FROM scratch\nRUN ${text}\n`);
    expect(ops(lowered).at(-1)).toMatchObject({ args: [...sh, text] });
  });

  test('that begins with #!: a program of its own, in no layer', async () => {
    const lowered = await lower('FROM scratch\nRUN <<"prog.py"\n#!/usr/bin/python\nprint(1)\nprog.py\n');
    expect(ops(lowered).at(-1)).toMatchObject({
      args: [...sh, '/dev/pipes/prog.py'],
      files: [{ name: 'prog.py', text: '#!/usr/bin/python\nprint(1)\n' }],
    });
  });

  test('of <<- that begins with #! once its tabs are gone', async () => {
    const lowered = await lower('FROM scratch\nRUN <<-EOF\n\t#!/bin/cat\n\tx\n\tEOF\n');
    expect(ops(lowered).at(-1)).toMatchObject({
      args: [...sh, '/dev/pipes/EOF'],
      files: [{ name: 'EOF', text: '#!/bin/cat\nx\n' }],
    });
  });

  test('under another SHELL', async () => {
    const lowered = await lower('FROM scratch\nSHELL ["/bin/bash", "-ec"]\nRUN <<EOF\na\nEOF\n');
    expect(ops(lowered).at(-1)).toMatchObject({ args: ['/bin/bash', '-ec', 'a\n'] });
  });

  test('in ONBUILD goes with the trigger', async () => {
    const lowered = await lower('FROM scratch AS a\nONBUILD RUN <<EOF\necho a\nEOF\nFROM a\n');
    expect(ops(lowered).at(-1)).toMatchObject({ kind: 'exec', args: [...sh, 'echo a\n'] });
  });
});

describe('COPY and ADD of here-documents', () => {
  test('are files of their names, variables replaced unless the name is quoted', async () => {
    const lowered = await lower(
      'FROM scratch\nARG who=me\nCOPY --chmod=600 <<a.txt <<"b.txt" /x/\n"$who" \\$who\na.txt\n$who\nb.txt\n',
    );
    expect(ops(lowered)).toHaveLength(2);
    expect(ops(lowered).at(-1)).toMatchObject({
      kind: 'copy',
      from: [],
      dest: '/x/',
      chmod: 0o600,
      inline: [
        { name: 'a.txt', text: '"me" $who\n' },
        { name: 'b.txt', text: '$who\n' },
      ],
    });
    expect(created(lowered).at(-1)).toBe('L COPY --chmod=600 <<a.txt <<b.txt /x/ # buildkit');
  });

  test('beside files of the context, and as another name', async () => {
    const lowered = await lower('FROM scratch\nCOPY file <<EOF /x/\n1\nEOF\nADD <<-EOF /y\n\t2\nEOF\n');
    expect(ops(lowered)).toMatchObject([
      { kind: 'scratch' },
      { kind: 'local' },
      { from: [{ patterns: ['file'] }], dest: '/x/', inline: [{ name: 'EOF', text: '1\n' }] },
      { from: [], dest: '/y', inline: [{ name: 'EOF', text: '2\n' }] },
    ]);
  });

  test('need a destination, and cannot be one', async () => {
    await expect(lower('FROM scratch\nCOPY a <<EOF\nEOF\n')).rejects.toThrow('heredoc as a destination');
    await expect(lower('FROM scratch\nCOPY <<A <<B /x\nA\nB\n')).rejects.toThrow('must be a directory');
  });
});
