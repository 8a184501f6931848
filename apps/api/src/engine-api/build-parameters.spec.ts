import { describe, expect, it } from 'vitest';
import { BuildParameters, buildRequestOf, unheeded } from './build-parameters.ts';

const asked = (query: Readonly<Record<string, unknown>>) => buildRequestOf(BuildParameters.parse(query), {});

describe('the parameters of POST /build', () => {
  it('become a request whose image stays in the farm', () => {
    expect(
      asked({
        t: ['acme/app:1', 'acme/app:2'],
        dockerfile: './docker/Dockerfile',
        buildargs: '{"A":"1","B":null}',
        labels: '{"l":"x"}',
        target: 'test',
        nocache: '1',
        pull: 'true',
        networkmode: 'none',
        platform: 'linux/arm64',
        extrahosts: '["db:10.0.0.1","six=::1"]',
        ulimits: '[{"Name":"nofile","Soft":1,"Hard":2}]',
        memory: '1073741824',
        shmsize: '67108864',
        cpuquota: '150000',
        cpuperiod: '100000',
        rm: '1',
        version: '1',
      }),
    ).toMatchObject({
      tags: ['acme/app:1', 'acme/app:2'],
      dockerfile: 'docker/Dockerfile',
      buildArgs: { A: '1' },
      labels: { l: 'x' },
      target: 'test',
      noCache: true,
      pull: true,
      network: 'none',
      platforms: ['linux/arm64'],
      addHosts: [
        { name: 'db', address: '10.0.0.1' },
        { name: 'six', address: '::1' },
      ],
      ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
      memoryBytes: 1024 ** 3,
      shmSizeBytes: 64 * 1024 * 1024,
      cpus: 1.5,
      outputs: [{ type: 'image', push: false }],
    });
  });

  it('name images whose results may be used, and what has no effect is told', () => {
    expect(asked({ cachefrom: '["acme/app:1","acme/app:1","r.example.com/x"]' }).cacheFrom).toEqual([
      { type: 'registry', ref: 'acme/app:1' },
      { type: 'registry', ref: 'r.example.com/x' },
    ]);
    expect(asked({ cachefrom: 'null' }).cacheFrom).toEqual([]);
    expect(() => asked({ cachefrom: '["type=gha"]' })).toThrow('cacheFrom');
    const given = {
      securityopt: ['seccomp=unconfined', 'label=x'],
      memswap: '-1',
      cpushares: '512',
      cgroupparent: '/x',
    };
    expect(unheeded(BuildParameters.parse(given)).map((line) => line.split(' ')[0])).toEqual([
      '--security-opt',
      '--memory-swap',
      '--cpu-shares',
      '--cgroup-parent',
    ]);
    const usual = { securityopt: '', memswap: '0', cpushares: '0', cpusetcpus: '', cgroupparent: '', isolation: '' };
    expect(unheeded(BuildParameters.parse(usual))).toEqual([]);
  });

  it('name hosts one by one, as the client sends them', () => {
    const named = (...extrahosts: readonly string[]) => asked({ extrahosts }).addHosts.map(({ name }) => name);
    expect(named('db:10.0.0.1', 'six=::1')).toEqual(['db', 'six']);
    expect(named('db:10.0.0.1,web:10.0.0.2')).toEqual(['db', 'web']);
  });

  it('that say nothing are the defaults', () => {
    expect(
      asked({ t: '', memory: '0', networkmode: 'default', target: '', platform: '', buildargs: 'null' }),
    ).toMatchObject({
      dockerfile: 'Dockerfile',
      tags: [],
      buildArgs: {},
      network: 'default',
      noCache: false,
    });
  });

  it.each([
    [
      { remote: 'https://example.com/x.git#main:docker' },
      { type: 'git', url: 'https://example.com/x.git#main:docker' },
    ],
    [{ remote: 'https://example.com/x.tar.gz' }, { type: 'http', url: 'https://example.com/x.tar.gz' }],
  ])('%o names a context elsewhere', (query, context) => {
    expect(asked(query).contexts).toEqual({ context });
  });

  it.each([
    [{ version: '2' }, 'protocol of BuildKit'],
    [{ squash: '1' }, '--squash'],
    [{ buildargs: '[1]' }, 'buildargs'],
    [{ buildargs: '{' }, 'buildargs is no JSON'],
    [{ networkmode: 'container:x' }, '--network container:x'],
    [{ remote: 'client-session' }, 'remote'],
    [{ t: 'UPPER' }, 'tags'],
    [{ platform: 'linux/nothing' }, 'platforms'],
    [{ extrahosts: 'x' }, 'extrahosts'],
  ])('%o is refused by name', (query, words) => {
    expect(() => asked(query)).toThrow(words);
  });
});
