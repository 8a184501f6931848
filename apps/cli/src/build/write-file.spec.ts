import { execFile } from 'node:child_process';
import { lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { single } from '#std';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replaceWithBytes, replaceWithText } from './write-file.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kiln-write-'));
});
afterEach(async () => rm(dir, { recursive: true, force: true }));

describe.each([
  ['text', (path: string) => replaceWithText(path, 'new')],
  ['bytes', (path: string) => replaceWithBytes(path, single(Buffer.from('new')))],
])('a file that is written as %s', (_, write) => {
  it('takes the place of the one before', async () => {
    const path = join(dir, 'file');
    await writeFile(path, 'old');
    await write(path);
    expect([await readFile(path, 'utf8'), await readdir(dir)]).toEqual(['new', ['file']]);
  });

  it('goes where a link leads, and the link stays', async () => {
    await writeFile(join(dir, 'file'), 'old');
    await symlink('file', join(dir, 'link'));
    await write(join(dir, 'link'));
    expect((await lstat(join(dir, 'link'))).isSymbolicLink()).toBe(true);
    expect(await readFile(join(dir, 'file'), 'utf8')).toBe('new');
  });

  it('goes into what is no file, which stays what it is', async () => {
    const pipe = join(dir, 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const [read] = await Promise.all([readFile(pipe, 'utf8'), write(pipe)]);
    expect([read, (await lstat(pipe)).isFIFO()]).toEqual(['new', true]);
    await write('/dev/null');
    expect((await lstat('/dev/null')).isCharacterDevice()).toBe(true);
  });
});
