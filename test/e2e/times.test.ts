import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { readArchive } from '../golden/oci-archive.ts';
import { flatten } from '../golden/file-tree.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

interface Seen {
  readonly seconds: (path: string) => number | undefined;
  readonly progress: string;
}

async function build(dir: string, dockerfile: string): Promise<Seen> {
  await write(dir, { Dockerfile: dockerfile });
  const archive = join(dir, 'image.tar');
  const { code, stderr } = await farm.kilnBuild([dir, '--progress=plain', '-o', `type=oci,dest=${archive}`]);
  if (code !== 0) throw new Error(stderr);
  const tree = await flatten((await readArchive(archive)).layers);
  return { seconds: (path) => tree[path]?.mtime, progress: stderr };
}

const at = (date: string): number => Date.parse(date) / 1000;

describe('times of files', () => {
  it('that a step sets are those of the image, whatever follows it', async () => {
    const dir = await farm.folder();
    const touched = (date: string): string => `FROM box:1\nRUN touch -d '${date}' /f\nRUN echo after > /g\n`;
    expect((await build(dir, touched('2020-01-01 00:00:00'))).seconds('/f')).toBe(at('2020-01-01T00:00:00Z'));
    const changed = await build(dir, touched('2021-01-01 00:00:00'));
    expect(changed.seconds('/f')).toBe(at('2021-01-01T00:00:00Z'));
    const again = await build(dir, touched('2021-01-01 00:00:00'));
    expect(again.seconds('/f')).toBe(at('2021-01-01T00:00:00Z'));
    const back = await build(dir, touched('2020-01-01 00:00:00'));
    expect(back.seconds('/f')).toBe(at('2020-01-01T00:00:00Z'));
  });

  it('that a context has are no reason to build', async () => {
    const dir = await farm.folder();
    await write(dir, { '.dockerignore': 'image.tar\n', a: 'a' });
    const text = 'FROM box:1\nCOPY a /a\nRUN cat /a\n';
    await build(dir, text);
    await utimes(join(dir, 'a'), 1_000_000_000, 1_000_000_000);
    const again = await build(dir, text);
    expect(again.progress).not.toMatch(/^#\d+ DONE.*\n(?=#\d+ \[.*\] (COPY|RUN))/m);
    expect(again.progress.match(/^#\d+ CACHED/gm)).toHaveLength(2);
  });

  it('that differ by the run alone let what follows hit', async () => {
    const dir = await farm.folder();
    const text = (comment: string): string => `FROM box:1\nRUN echo x > /x # ${comment}\nRUN cat /x > /y\n`;
    await build(dir, text('one'));
    const again = await build(dir, text('two'));
    expect(again.progress.match(/^#\d+ CACHED/gm)).toHaveLength(1);
  });
});

describe('the time of an image', () => {
  it('is that of the first run that made its last result, whichever step that was', async () => {
    const dir = await farm.folder();
    const digest = async (...steps: readonly string[]): Promise<unknown> => {
      await write(dir, { Dockerfile: ['FROM box:1', ...steps, ''].join('\n') });
      return (await farm.build(dir, '-o', `type=oci,dest=${join(dir, 'image.tar')}`))['containerimage.digest'];
    };
    await digest('RUN true', 'RUN true # after');
    // Other steps that do the same: nothing, on the same parents.
    const made = await digest('RUN :', 'RUN : # after');
    expect(made).toEqual(expect.stringMatching(/^sha256:/));
    expect(await digest('RUN :', 'RUN : # after')).toBe(made);
  });
});
