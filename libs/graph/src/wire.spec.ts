import { digestOf } from '#oci';
import { isKilnError } from '#std';
import { describe, expect, it } from 'vitest';
import type { Op } from './op.ts';
import { type Definition, DefinitionBuilder, mergeDefinitions, subgraph } from './vertex.ts';
import { decodeDefinition, encodeDefinition } from './wire.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };
const label = { name: 'step', stage: 'build', line: 3, ignoreCache: true };

const owner = { uid: 1, gid: 2 };
/** One of each kind, with every member. */
const ops: readonly Op[] = [
  { kind: 'image', reference: 'registry.example.com/base', digest: digestOf('base') },
  { kind: 'scratch' },
  { kind: 'local', name: 'context' },
  { kind: 'http', url: 'https://example.com/a', digest: digestOf('a'), name: 'a' },
  {
    kind: 'git',
    remote: 'https://example.com/r.git',
    ref: 'main',
    commit: 'a'.repeat(40),
    subdir: 'x',
    keepGitDir: true,
    submodules: false,
  },
  {
    kind: 'exec',
    args: ['sh', '-c', 'a\u0000\udc80'],
    env: ['A=b'],
    cwd: '/',
    user: 'web',
    network: 'host',
    security: 'insecure',
    devices: [{ name: 'vendor.com/gpu=all', required: false }],
    mounts: [
      { type: 'bind', target: '/b', input: 1, source: '', readonly: true },
      {
        type: 'cache',
        target: '/c',
        id: 'c',
        sharing: 'locked',
        input: 1,
        source: '',
        mode: 493,
        ...owner,
        readonly: false,
      },
      { type: 'tmpfs', target: '/t', sizeBytes: 9 },
      { type: 'secret', id: 's', target: '/s', env: 'S', required: true, mode: 256, ...owner },
      { type: 'ssh', id: 'default', target: '/ssh', required: false, mode: 384, ...owner },
    ],
    extraHosts: [{ name: 'a', address: '10.0.0.1' }],
    limits: { memoryBytes: 1, cpuMillis: 2, shmSizeBytes: 3, ulimits: [{ name: 'nofile', soft: -1, hard: 5 }] },
    proxyEnv: ['http_proxy=x'],
    files: [{ name: 'EOF', text: 'x' }],
  },
  {
    kind: 'copy',
    from: [{ input: 1, patterns: ['*'], unpack: true }],
    dest: '/d/',
    chown: '1:2',
    chmod: 'u=rwX',
    parents: true,
    excludes: ['*.md'],
    inline: [{ name: 'f', text: 'y' }],
  },
  { kind: 'mkdir', path: '/w', mode: 493, chown: 'web' },
  { kind: 'merge' },
];

function chain(platform = amd64): Definition {
  const builder = new DefinitionBuilder();
  let last = builder.add({ kind: 'scratch' }, platform, [], label);
  for (const op of ops) last = builder.add(op, platform, [last], label);
  return builder.finish(last);
}

describe('a definition on its way to another process', () => {
  it('comes out as it went in, every operation with every member', () => {
    const definition = chain(arm);
    expect(decodeDefinition(JSON.parse(JSON.stringify(encodeDefinition(definition))))).toEqual(definition);
  });

  it('is refused where a vertex is not what its digest says', () => {
    const text = JSON.stringify(encodeDefinition(chain())).replace('A=b', 'A=c');
    expect(() => decodeDefinition(JSON.parse(text))).toThrow(/is another one/);
  });

  it('is refused where it is something else', () => {
    for (const value of [null, {}, { vertices: [], roots: [] }]) {
      try {
        decodeDefinition(value);
        expect.unreachable();
      } catch (thrown) {
        expect(isKilnError(thrown, 'INVALID_ARGUMENT')).toBe(true);
      }
    }
  });
});

describe('several definitions as one', () => {
  const build = (architecture: string): Definition => {
    const builder = new DefinitionBuilder();
    const image = { kind: 'image', reference: 'base', digest: digestOf('base') } as const;
    const tools = builder.add(image, amd64, [], { ...label, ignoreCache: false });
    const platform = { os: 'linux', architecture };
    return builder.finish(builder.add({ kind: 'merge' }, platform, [tools], { ...label, ignoreCache: false }));
  };

  it('hold once what they share, inputs first, with their roots in order', () => {
    const [one, two] = [build('amd64'), build('arm64')];
    const merged = mergeDefinitions([one, two]);
    expect(merged.roots).toEqual([...one.roots, ...two.roots]);
    expect(merged.vertices.size).toBe(3);
    const seen = new Set<string>();
    for (const { digest, inputs } of merged.vertices.values()) {
      expect(inputs.every(({ vertex }) => seen.has(vertex))).toBe(true);
      seen.add(digest);
    }
  });

  it('give back each by its roots', () => {
    const [one, two] = [build('amd64'), build('arm64')];
    expect(subgraph(mergeDefinitions([one, two]), two.roots)).toEqual(two);
  });
});
