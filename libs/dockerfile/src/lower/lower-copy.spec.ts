import { describe, expect, test } from 'vitest';
import type { CopyOp } from '#graph';
import { created, lower, names, ops, vertices } from './lowered.fixture.ts';

async function copyOp(line: string): Promise<CopyOp> {
  const lowered = await lower(`FROM a\nWORKDIR /w\nARG MODE=u+x\n${line}`);
  const found = vertices(lowered).find(({ op }) => op.kind === 'copy')?.op;
  if (found?.kind !== 'copy') throw new Error('no copy');
  return found;
}

const plain = { kind: 'copy', from: [{ input: 1, patterns: ['a'] }], dest: '/w/b' };

describe('COPY and ADD', () => {
  test.each([
    ['COPY a b', plain],
    ['COPY --parents a b', { ...plain, parents: true }],
    ['COPY --exclude=*.md --exclude=!$X a b', { ...plain, excludes: ['*.md', '!$X'] }],
    ['COPY --chmod=${MODE},go=rX a b', { ...plain, chmod: 'u+x,go=rX' }],
    ['COPY --chmod=0755 a b', { ...plain, chmod: 0o755 }],
    ['COPY --chown=$MODE a b', { ...plain, chown: 'u+x' }],
    ['ADD a b', { ...plain, from: [{ input: 1, patterns: ['a'], unpack: true }] }],
    ['ADD --unpack=false a b', plain],
    ['ADD --unpack a b', { ...plain, from: [{ input: 1, patterns: ['a'], unpack: true }] }],
  ])('%s', async (line, op) => {
    expect(await copyOp(line)).toEqual(op);
  });

  test.each([
    ['a/b', 'a/b'],
    ['./a/../b/', 'b'],
    ['/x/./a/b', 'x/./a/b'],
    ['./x/./y/*.txt', 'x/./y/*.txt'],
    ['/./a', 'a'],
    ['/x/a/./b/./c', 'x/a/./b/c'],
    ['x/a/.', 'x/a'],
    ['x/./', 'x/./.'],
    ['.', '.'],
    ['../x/./../y', 'x/./y'],
  ])('--parents %s', async (source, pattern) => {
    expect((await copyOp(`COPY --parents ${source} /`)).from[0]?.patterns).toEqual([pattern]);
  });

  test('--parents makes its destination a directory, whatever it is called', async () => {
    expect((await copyOp('COPY --parents a/x b/y out')).dest).toBe('/w/out');
  });

  test.each([
    ['b', '/w/b'],
    ['b/', '/w/b/'],
    ['.', '/w/'],
    ['./', '/w/'],
    ['""', '/w/'],
    ['/', '/'],
    ['..', '/'],
    ['/x/../y/.', '/y/'],
  ])('destination %s', async (dest, path) => {
    expect((await copyOp(`COPY a ${dest}`)).dest).toBe(path);
  });

  test('the history tells the flags that it tells in BuildKit', async () => {
    const lowered = await lower('FROM a\nCOPY --link --exclude=x --chown=1 a b\nCOPY --parents --chmod=u+x c/d /');
    expect(created(lowered)).toEqual([
      'L COPY --chown=1 a b # buildkit',
      'L COPY --parents --chmod=u+x c/d / # buildkit',
    ]);
  });
});

describe('--link', () => {
  test('copies onto the empty tree, whose layer goes on top of the stage', async () => {
    const lowered = await lower('FROM a\nWORKDIR /w\nCOPY --link x .\nRUN y');
    expect(vertices(lowered).map(({ op }) => op.kind)).toEqual([
      'image',
      'mkdir',
      'local',
      'scratch',
      'copy',
      'merge',
      'exec',
    ]);
    expect(names(lowered).filter((name) => name.includes('COPY'))).toEqual([
      '[3/4] COPY --link x .',
      '[3/4] LINK COPY --link x .',
    ]);
    const kind = Object.fromEntries(vertices(lowered).map((vertex) => [vertex.op.kind, vertex]));
    const from = (name: string) => kind[name]?.inputs.map(({ vertex }) => vertex);
    expect(from('copy')).toEqual([kind['scratch']?.digest, kind['local']?.digest]);
    expect(from('merge')).toEqual([kind['mkdir']?.digest, kind['copy']?.digest]);
    expect(from('exec')).toEqual([kind['merge']?.digest]);
    expect(kind['copy']?.op).toMatchObject({ dest: '/w/' });
  });

  test('is one vertex for all that link the same', async () => {
    const lowered = await lower('FROM a AS x\nCOPY --link f /\nFROM b\nCOPY --link f /\nCOPY --from=x /f /g');
    expect(vertices(lowered).filter(({ op }) => op.kind === 'copy')).toHaveLength(2);
    expect(vertices(lowered).filter(({ op }) => op.kind === 'merge')).toHaveLength(2);
  });

  test('takes owners by number', async () => {
    for (const owner of ['root', '1', '1:2', 'root:5', ':7']) {
      expect(ops(await lower(`FROM a\nCOPY --link --chown=${owner} f /`))).toContainEqual({ kind: 'merge' });
    }
  });

  test('is a plain copy with --chmod', async () => {
    const lowered = await lower('FROM a\nCOPY --link --chmod=755 --chown=web f /');
    expect(vertices(lowered).map(({ op }) => op.kind)).toEqual(['image', 'local', 'copy']);
  });

  test('goes for ADD and here-documents too', async () => {
    const lowered = await lower('FROM a\nADD --link x.tar /\nCOPY --link <<x /\ntext\nx');
    expect(vertices(lowered).filter(({ op }) => op.kind === 'merge')).toHaveLength(2);
  });
});
