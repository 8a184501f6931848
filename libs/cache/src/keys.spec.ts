import {
  type CopyOp,
  DefinitionBuilder,
  type Definition,
  type ExecMount,
  type ExecOp,
  type MkdirOp,
  type Op,
  type Vertex,
  type VertexLabel,
} from '#graph';
import { type Digest, digestOf } from '#oci';
import { describe, expect, it } from 'vitest';
import { contentKey, definitionKeys, mergeResultId, opKey, stepResultId } from './keys.ts';
import type { ResultId } from './record.ts';

const label: VertexLabel = { name: '', stage: '', line: 0, ignoreCache: false };
const amd64 = { os: 'linux', architecture: 'amd64' };
const exec: ExecOp = {
  kind: 'exec',
  args: ['/bin/sh', '-c', 'make'],
  env: ['A=1', 'B=2'],
  cwd: '/src',
  user: '',
  network: 'default',
};
const secret: ExecMount = { type: 'secret', id: 's', target: '/s', required: true, mode: 0o400, uid: 0, gid: 0 };
const cache: ExecMount = { type: 'cache', target: '/c', id: 'c', sharing: 'shared', source: '', readonly: false };
const bind: ExecMount = { type: 'bind', target: '/m', input: 1, source: '', readonly: true };
const mounting = (...mounts: readonly ExecMount[]): Case => ({ op: { ...exec, mounts } });
const copy: CopyOp = { kind: 'copy', from: [{ input: 1, patterns: ['a', 'b'] }], dest: '/src/' };
const mkdir: MkdirOp = { kind: 'mkdir', path: '/src', mode: 0o755 };

interface Case {
  readonly op?: Op;
  readonly platform?: typeof amd64;
  readonly base?: string;
  readonly source?: 'local' | 'stage';
  readonly selection?: string;
  readonly label?: VertexLabel;
}

function definitionOf({ op = exec, platform = amd64, base = 'base', source, label: own = label }: Case): Definition {
  const builder = new DefinitionBuilder();
  const root = builder.add(
    { kind: 'image', reference: 'docker.io/library/base', digest: digestOf(base) },
    platform,
    [],
    label,
  );
  const from =
    source === 'local'
      ? builder.add({ kind: 'local', name: 'context' }, platform, [], label)
      : builder.add(
          { kind: 'image', reference: 'docker.io/library/stage', digest: digestOf('stage') },
          platform,
          [],
          label,
        );
  const takes = op.kind === 'copy' || (op.kind === 'exec' && op.mounts?.some(({ type }) => type === 'bind') === true);
  const inputs = takes ? [root, from] : [root];
  return builder.finish(builder.add(op, platform, inputs, own));
}

function rootOf({ roots: [root], vertices }: Definition): Vertex {
  const vertex = root && vertices.get(root.vertex);
  if (vertex === undefined) throw new Error('no vertex');
  return vertex;
}

function keyOf(given: Case): Digest {
  const definition = definitionOf(given);
  const keys = definitionKeys(definition, () => digestOf(given.selection ?? 'selected'));
  const key = keys.get(rootOf(definition).digest);
  if (key === undefined) throw new Error('no key');
  return key.key;
}

describe('definition keys', () => {
  const flips: Record<string, [Case, Case]> = {
    'exec args': [{}, { op: { ...exec, args: ['/bin/sh', '-c', 'make all'] } }],
    'exec argument borders': [{ op: { ...exec, args: ['a b'] } }, { op: { ...exec, args: ['a', 'b'] } }],
    'exec shell': [{}, { op: { ...exec, args: ['/bin/bash', '-c', 'make'] } }],
    'exec env value': [{}, { op: { ...exec, env: ['A=2', 'B=2'] } }],
    'exec env order': [{}, { op: { ...exec, env: ['B=2', 'A=1'] } }],
    'exec cwd': [{}, { op: { ...exec, cwd: '/' } }],
    'exec user': [{}, { op: { ...exec, user: 'node' } }],
    'exec network': [{}, { op: { ...exec, network: 'none' } }],
    'exec files': [{}, { op: { ...exec, files: [{ name: 'EOF', text: '#!/bin/sh\n' }] } }],
    'exec text of a file': [
      { op: { ...exec, files: [{ name: 'EOF', text: '#!/bin/sh\n' }] } },
      { op: { ...exec, files: [{ name: 'EOF', text: '#!/bin/sh -e\n' }] } },
    ],
    'exec security': [{}, { op: { ...exec, security: 'insecure' } }],
    'exec device': [{}, { op: { ...exec, devices: [{ name: 'gpu', required: false }] } }],
    'exec device that is required': [
      { op: { ...exec, devices: [{ name: 'gpu', required: false }] } },
      { op: { ...exec, devices: [{ name: 'gpu', required: true }] } },
    ],
    'exec hosts': [{}, { op: { ...exec, extraHosts: [{ name: 'db', address: '10.0.0.1' }] } }],
    'exec limits': [{}, { op: { ...exec, limits: { memoryBytes: 1 } } }],
    'exec mounts': [{}, mounting({ type: 'tmpfs', target: '/t' })],
    'exec tmpfs size': [
      mounting({ type: 'tmpfs', target: '/t' }),
      mounting({ type: 'tmpfs', target: '/t', sizeBytes: 1 }),
    ],
    'exec mount target': [mounting({ type: 'tmpfs', target: '/t' }), mounting({ type: 'tmpfs', target: '/u' })],
    'exec secret id': [mounting({ ...secret, id: 'a' }), mounting({ ...secret, id: 'b' })],
    'exec secret variable': [mounting(secret), mounting({ ...secret, env: 'S' })],
    'exec secret mode': [mounting(secret), mounting({ ...secret, mode: 0o444 })],
    'exec cache id': [mounting(cache), mounting({ ...cache, id: 'other' })],
    'exec cache sharing': [mounting(cache), mounting({ ...cache, sharing: 'locked' })],
    'exec bind source': [mounting(bind), mounting({ ...bind, source: 'src' })],
    'exec bind writable': [mounting(bind), mounting({ ...bind, readonly: false })],
    'exec bind selection': [
      { ...mounting(bind), source: 'local' },
      { ...mounting(bind), source: 'local', selection: 'other' },
    ],
    'copy inline': [{ op: copy }, { op: { ...copy, inline: [{ name: 'a', text: '1' }] } }],
    'copy text inline': [
      { op: { ...copy, inline: [{ name: 'a', text: '1' }] } },
      { op: { ...copy, inline: [{ name: 'a', text: '2' }] } },
    ],
    'copy name inline': [
      { op: { ...copy, inline: [{ name: 'a', text: '1' }] } },
      { op: { ...copy, inline: [{ name: 'b', text: '1' }] } },
    ],
    platform: [{}, { platform: { os: 'linux', architecture: 'arm64' } }],
    'base digest': [{}, { base: 'another' }],
    'copy selection': [
      { op: copy, source: 'local' },
      { op: copy, source: 'local', selection: 'other' },
    ],
    'copy dest': [
      { op: copy, source: 'local' },
      { op: { ...copy, dest: '/src2/' }, source: 'local' },
    ],
    'copy chown': [
      { op: copy, source: 'local' },
      { op: { ...copy, chown: 'node' }, source: 'local' },
    ],
    'copy chmod': [
      { op: copy, source: 'local' },
      { op: { ...copy, chmod: 0o600 }, source: 'local' },
    ],
    'copy chmod by letters': [
      { op: { ...copy, chmod: 'u+x' }, source: 'local' },
      { op: { ...copy, chmod: 'u+rx' }, source: 'local' },
    ],
    'copy parents': [
      { op: copy, source: 'local' },
      { op: { ...copy, parents: true }, source: 'local' },
    ],
    'copy excludes of a stage': [
      { op: { ...copy, excludes: ['a'] }, source: 'stage' },
      { op: { ...copy, excludes: ['b'] }, source: 'stage' },
    ],
    'copy order of excludes': [
      { op: { ...copy, excludes: ['a', '!b'] }, source: 'stage' },
      { op: { ...copy, excludes: ['!b', 'a'] }, source: 'stage' },
    ],
    'copy unpack': [
      { op: copy, source: 'local' },
      { op: { ...copy, from: [{ input: 1, patterns: ['a', 'b'], unpack: true }] }, source: 'local' },
    ],
    'copy sources of a stage': [
      { op: copy, source: 'stage' },
      { op: { ...copy, from: [{ input: 1, patterns: ['a'] }] }, source: 'stage' },
    ],
    'mkdir path': [{ op: mkdir }, { op: { ...mkdir, path: '/x' } }],
    'mkdir mode': [{ op: mkdir }, { op: { ...mkdir, mode: 0o700 } }],
    'mkdir chown': [{ op: mkdir }, { op: { ...mkdir, chown: '1000' } }],
  };
  it.each(Object.entries(flips))('change with %s', (_name, [one, other]) => {
    expect(keyOf(one)).toBe(keyOf(one));
    expect(keyOf(one)).not.toBe(keyOf(other));
  });

  it('do not change with names, lines, stages or flags that skip the cache', () => {
    const shown = { name: '[2/2] RUN make', stage: 'build', line: 12, ignoreCache: true };
    expect(keyOf({ label: shown })).toBe(keyOf({}));
  });

  it('do not change with what is left out of a known tree, as long as the same is left', () => {
    expect(keyOf({ op: { ...copy, excludes: ['*.md'] }, source: 'local' })).toBe(keyOf({ op: copy, source: 'local' }));
  });

  it('do not change with the spelling of patterns that select the same', () => {
    expect(keyOf({ op: { ...copy, from: [{ input: 1, patterns: ['*', 'b'] }] }, source: 'local' })).toBe(
      keyOf({ op: copy, source: 'local' }),
    );
  });
});

describe('keys around a merge', () => {
  /** A linked copy on a base, and a step on both. */
  function keysOf(given: { readonly base?: string; readonly dest?: string }) {
    const builder = new DefinitionBuilder();
    const image = { kind: 'image', reference: 'x', digest: digestOf(given.base ?? 'base') } as const;
    const base = builder.add(image, amd64, [], label);
    const context = builder.add({ kind: 'local', name: 'context' }, amd64, [], label);
    const empty = builder.add({ kind: 'scratch' }, amd64, [], label);
    const linked = builder.add({ ...copy, dest: given.dest ?? '/' }, amd64, [empty, context], label);
    const merged = builder.add({ kind: 'merge' }, amd64, [base, linked], label);
    const step = builder.add(exec, amd64, [merged], label);
    const keys = definitionKeys(builder.finish(step), () => digestOf('selected'));
    return [linked, merged, step].map(({ vertex }) => keys.get(vertex)?.key);
  }

  it('a linked copy is the same whatever it is put on, and what stands on both is not', () => {
    const [linked, merged, step] = keysOf({});
    const [linkedNow, mergedNow, stepNow] = keysOf({ base: 'newer' });
    expect(linkedNow).toBe(linked);
    expect(mergedNow).not.toBe(merged);
    expect(stepNow).not.toBe(step);
  });

  it('another copy is another step', () => {
    const [linked, , step] = keysOf({});
    const [other, , stepOnOther] = keysOf({ dest: '/x' });
    expect([other === linked, stepOnOther === step]).toEqual([false, false]);
  });

  it('the same results merged otherwise are another result', () => {
    const id = (name: string): ResultId => digestOf(name) as ResultId;
    const [a, b, c] = [id('a'), id('b'), id('c')];
    const ids = [
      mergeResultId([a, b]),
      mergeResultId([b, a]),
      mergeResultId([mergeResultId([a, b]), c]),
      mergeResultId([a, mergeResultId([b, c])]),
      stepResultId([a], b),
      stepResultId([mergeResultId([a, b])], c),
      stepResultId([a, b], c),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('content keys', () => {
  const vertexOf = (given: Case) => rootOf(definitionOf(given));
  const tree = digestOf('tree');

  it('are over the operation, the platform and what the inputs hold', () => {
    const key = contentKey(vertexOf({}), [{ tree }]).key;
    expect(contentKey(vertexOf({ base: 'another' }), [{ tree }]).key).toBe(key);
    expect(contentKey(vertexOf({}), [{ tree: digestOf('other') }]).key).not.toBe(key);
    expect(contentKey(vertexOf({ op: { ...exec, user: 'x' } }), [{ tree }]).key).not.toBe(key);
    expect(contentKey(vertexOf({ platform: { os: 'linux', architecture: 'arm64' } }), [{ tree }]).key).not.toBe(key);
  });

  it('are never definition keys, and tell a tree from a selection', () => {
    const copied = vertexOf({ op: copy, source: 'stage' });
    const [a, b] = [
      contentKey(copied, [{ tree }, { tree }]).key,
      contentKey(copied, [{ tree }, { selection: tree }]).key,
    ];
    expect(a).not.toBe(b);
    expect(contentKey(vertexOf({}), [{ tree }]).key).not.toBe(keyOf({}));
  });
});

describe('operation keys', () => {
  it('are the same whatever the inputs are', () => {
    const of = (given: Case) => opKey(rootOf(definitionOf(given)));
    expect(of({})).toBe(of({ base: 'another' }));
    expect(of({})).not.toBe(of({ op: { ...exec, args: ['x'] } }));
  });
});
