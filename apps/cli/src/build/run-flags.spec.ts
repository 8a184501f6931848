import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRunFlags } from './run-flags.ts';
import { parseSecret, readSecrets } from './secrets.ts';
import { parseAgent } from './ssh-sources.ts';

const read = (flags: Partial<Parameters<typeof readRunFlags>[0]>) => readRunFlags({ network: 'default', ...flags });

describe('flags about RUN', () => {
  it('are read as docker reads them', () => {
    const { request, notes } = read({
      network: 'host',
      allow: ['network.host'],
      addHost: ['db:10.0.0.1', 'v6=[::1]', 'six:fd00::2'],
      ulimit: ['nofile=1024:2048', 'core=-1'],
      shmSize: '64m',
      memory: '1.5g',
      cpus: '0.5',
      cgroupParent: '/x',
    });
    expect(request).toEqual({
      network: 'host',
      allow: ['network.host'],
      addHosts: [
        { name: 'db', address: '10.0.0.1' },
        { name: 'v6', address: '::1' },
        { name: 'six', address: 'fd00::2' },
      ],
      ulimits: [
        { name: 'nofile', soft: 1024, hard: 2048 },
        { name: 'core', soft: -1, hard: -1 },
      ],
      shmSizeBytes: 64 * 1024 ** 2,
      memoryBytes: 1.5 * 1024 ** 3,
      cpus: 0.5,
    });
    expect(notes).toHaveLength(1);
    expect(read({ allow: ['device=vendor.com/gpu', 'device'] })).toMatchObject({
      request: { allow: [] },
      notes: [expect.stringContaining('--allow device') as string],
    });
    expect(read({ memory: '0' }).request).not.toHaveProperty('memoryBytes');
  });

  it.each([
    [{ network: 'bridge' }, '--network=bridge'],
    [{ allow: ['fuse'] }, '--allow fuse'],
    [{ addHost: ['db'] }, '--add-host'],
    [{ addHost: ['db:host-gateway'] }, 'host-gateway'],
    [{ addHost: ['db:10.0.0.300'] }, '--add-host'],
    [{ ulimit: ['nofile'] }, '--ulimit'],
    [{ ulimit: ['files=1'] }, '--ulimit'],
    [{ ulimit: ['nofile=2:1'] }, 'above the hard one'],
    [{ shmSize: 'big' }, '--shm-size'],
    [{ memory: '-1' }, '--memory'],
    [{ cpus: '0' }, '--cpus'],
    [{ cpus: '0.001' }, '--cpus 0.001 is less than the kernel gives'],
  ])('%j is refused by name', (flags, message) => {
    expect(() => read(flags)).toThrow(message);
  });
});

it('agents', () => {
  expect(parseAgent('default')).toEqual({ id: 'default', paths: [] });
  expect(parseAgent('github=/a,/b')).toEqual({ id: 'github', paths: ['/a', '/b'] });
  for (const value of ['', '=x', 'a=', 'a=x,']) expect(() => parseAgent(value)).toThrow('--ssh');
});

describe('secrets', () => {
  let cwd: string;
  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'kiln-secrets-'));
    await writeFile(join(cwd, 'file'), 'of a file');
    await writeFile(join(cwd, 'large'), Buffer.alloc(500 * 1024 + 1));
  });
  afterAll(() => rm(cwd, { recursive: true }));

  const value = async (flag: string, environment = {}, notes: string[] = []): Promise<string> => {
    const around = { cwd, environment, note: (text: string) => void notes.push(text) };
    const [encoded = ''] = Object.values(await readSecrets([parseSecret(flag)], around));
    return Buffer.from(encoded, 'base64').toString();
  };

  it('from files and variables, by docker’s rules', async () => {
    expect(await value('id=s,src=file')).toBe('of a file');
    expect(await value('type=file,id=s,source=file')).toBe('of a file');
    expect(await value('id=s,env=V', { V: 'of a variable' })).toBe('of a variable');
    expect(await value('id=s,type=env,src=V', { V: 'of a variable' })).toBe('of a variable');
    expect(await value('id=file', { file: 'the variable' })).toBe('the variable');
    expect(await value('id=file')).toBe('of a file');
    expect(await value('"id=s","src=file"')).toBe('of a file');
    const notes: string[] = [];
    expect(await value('id=s,env=V', {}, notes)).toBe('');
    expect(notes).toEqual(['the secret s is empty: the environment has no V']);
  });

  it.each([
    ['src=file', 'has no id'],
    ['id', 'not key=value'],
    ['id=s,path=x', '"path" is not known'],
    ['id=s,type=vault', 'type=vault is not known'],
    ['id=s,keyed=maybe', 'keyed=maybe is not known'],
    ['id=s,src="x', '--secret: a quote'],
  ])('%s is refused', (flag, message) => {
    expect(() => parseSecret(flag)).toThrow(message);
  });

  it('whose values count in keys', () => {
    const keyed = ['id=s,keyed', 'id=s,keyed=true', 'id=s,keyed=false', 'id=s'].map((flag) => parseSecret(flag).keyed);
    expect(keyed).toEqual([true, true, undefined, undefined]);
  });

  it('that cannot be read, or are too large', async () => {
    await expect(value('id=nothing')).rejects.toThrow(
      '--secret nothing: nothing cannot be read: there is no such file',
    );
    await expect(value('id=s,src=large')).rejects.toThrow('the secret s has 512001 bytes');
  });
});
