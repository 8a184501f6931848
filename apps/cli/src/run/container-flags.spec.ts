import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerFlags, readContainerFlags } from './container-flags.ts';

let file: string;
beforeAll(async () => {
  file = join(await mkdtemp(join(tmpdir(), 'kiln-run-')), 'env');
  await writeFile(file, '\uFEFFA=file\r\n# none\n\n  B="quoted"\nHOME\nNOBODY\n');
});
afterAll(() => rm(join(file, '..'), { recursive: true }));

const read = (flags: Partial<ContainerFlags>, command: readonly string[] = []) =>
  readContainerFlags(command, { network: 'default', pull: 'missing', ...flags }, { HOME: '/root', TOKEN: 't' });

describe('the flags of kiln run', () => {
  it('are those of docker run', async () => {
    const { request, secrets } = await read(
      {
        ...{ user: '1000:10', workdir: '/srv', platform: 'linux/arm64', network: 'bridge', pull: 'never' },
        ...{ memory: '1g', cpus: '0.5', shmSize: '1m', ulimit: ['nofile=10'], addHost: ['db:10.0.0.1'] },
        ...{ tmpfs: ['/scratch', '/small:rw,size=1m'], secret: ['id=token,env=TOKEN'] },
      },
      ['npm', 'test', '-x'],
    );
    expect(request).toEqual({
      command: ['npm', 'test', '-x'],
      env: {},
      ...{ user: '1000:10', workdir: '/srv', platform: 'linux/arm64', network: 'default', pull: 'never', allow: [] },
      ...{ memoryBytes: 1024 ** 3, cpus: 0.5, shmSizeBytes: 1024 ** 2 },
      ulimits: [{ name: 'nofile', soft: 10, hard: 10 }],
      addHosts: [{ name: 'db', address: '10.0.0.1' }],
      tmpfs: [{ target: '/scratch' }, { target: '/small', sizeBytes: 1024 ** 2 }],
    });
    expect(secrets).toEqual([{ id: 'token', variable: 'TOKEN' }]);
  });

  it('give variables: files first, then flags; without a value from the environment', async () => {
    const { request } = await read({ envFile: [file], env: ['A=flag=1', 'TOKEN', 'NOBODY', 'EMPTY='] });
    expect(request.env).toEqual({ A: 'flag=1', B: '"quoted"', HOME: '/root', TOKEN: 't', EMPTY: '' });
  });

  it('take the entry point away with an empty one', async () => {
    expect((await read({ entrypoint: 'sh' })).request.entrypoint).toEqual(['sh']);
    expect((await read({ entrypoint: '' })).request.entrypoint).toEqual([]);
    expect((await read({})).request).not.toHaveProperty('entrypoint');
  });

  it.each([
    [{ workdir: 'srv' }, '--workdir is no absolute path'],
    [{ tmpfs: ['scratch'] }, '--tmpfs is no absolute path'],
    [{ tmpfs: ['/s:mode=1777'] }, '--tmpfs: "mode=1777" is not known'],
    [{ pull: 'often' }, '--pull=often is not known'],
    [{ network: 'mine' }, '--network=mine is not known'],
    [{ env: ['=x'] }, '--env has no name'],
    [{ envFile: ['/nowhere'] }, '--env-file /nowhere cannot be read'],
    [{ memory: 'much' }, '--memory is no size'],
  ])('are checked: %j', async (flags, message) => {
    await expect(read(flags)).rejects.toThrow(message);
  });
});
