import { digestOf } from '#oci';
import type { MissCause } from '#protocol';
import { describe, expect, it } from 'vitest';
import type { CacheKey, OpKey } from '../record.ts';
import { compareOps } from './compare-ops.ts';
import { counterparts } from './counterparts.ts';
import { type KeyedVertex, readPreimage } from './keyed-vertex.ts';
import { redacted, secretValues, without } from './redact.ts';

interface Given {
  readonly op?: Readonly<Record<string, unknown>>;
  readonly name?: string;
  readonly stage?: string;
  readonly platform?: string;
}

/** A step whose key follows from all that is given. */
function keyed({ op = {}, name = '[2/2] RUN make', stage = '', platform = 'linux/amd64' }: Given = {}): KeyedVertex {
  const whole = { kind: 'exec', args: ['/bin/sh', '-c', name], ...op };
  const preimage = readPreimage({ op: whole, platform, inputs: [] });
  return {
    vertex: digestOf(JSON.stringify([whole, stage, platform])),
    stage,
    name,
    line: 1,
    op: digestOf(JSON.stringify(whole)) as OpKey,
    key: digestOf(JSON.stringify([whole, stage, platform, 'key'])) as CacheKey,
    preimage,
  };
}

const changes = (now: Given, past: Given, args: readonly string[] = []) =>
  compareOps(keyed(now), keyed(past), new Set(args));

describe('compareOps', () => {
  it('finds nothing where nothing differs, whatever the order of members', () => {
    const [one, other] = [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ];
    expect(changes({ op: { limits: one } }, { op: { limits: other } })).toEqual([]);
  });

  it('tells variables by name, and ARGs from ENV', () => {
    expect(changes({ op: { env: ['A=2', 'C=1'] } }, { op: { env: ['A=1', 'B=x'] } }, ['A'])).toEqual([
      { kind: 'variable', from: 'ARG', name: 'A', old: '1', new: '2' },
      { kind: 'variable', from: 'ENV', name: 'C', old: null, new: '1' },
      { kind: 'variable', from: 'ENV', name: 'B', old: 'x', new: null },
    ]);
    expect(changes({ op: { env: ['A=1', 'B=2'] } }, { op: { env: ['B=2', 'A=1'] } })).toMatchObject([
      { kind: 'setting', name: 'order of variables' },
    ]);
  });

  it('tells a new text once, and what else is set beside it', () => {
    const now = { name: '[2/2] RUN make all', op: { user: '1' } };
    expect(changes(now, { name: '[3/3] RUN make', op: { user: '0' } })).toEqual([
      { kind: 'instruction', old: 'RUN make', new: 'RUN make all' },
      { kind: 'setting', name: 'USER', old: '0', new: '1' },
    ]);
    expect(changes({ platform: 'linux/arm64' }, {})).toEqual([
      { kind: 'setting', name: 'platform', old: 'linux/amd64', new: 'linux/arm64' },
    ]);
  });

  it('tells a secret whose value counts by its id, and of other mounts those that differ', () => {
    const secret = { type: 'secret', id: 'one', target: '/s' };
    // Of the secret's own id.
    const cache = { type: 'cache', id: 'one', target: '/c' };
    const mounts = (...list: readonly unknown[]): Given => ({ op: { mounts: list } });
    const [old, now] = [digestOf('old'), digestOf('now')];
    expect(changes(mounts(cache, { ...secret, keyed: now }), mounts(cache, { ...secret, keyed: old }))).toEqual([
      { kind: 'setting', name: 'value of secret one', old: '***', new: '***' },
    ]);
    expect(changes(mounts({ ...secret, keyed: now }), mounts(secret))).toEqual([
      { kind: 'setting', name: 'value of secret one', old: null, new: '***' },
    ]);
    const keyed = { ...secret, keyed: now };
    const [moved] = changes(mounts({ ...cache, target: '/d' }, keyed), mounts(cache, keyed));
    expect(moved).toEqual({
      kind: 'setting',
      name: '--mount',
      old: '[{"type":"cache","id":"one","target":"/c"}]',
      new: '[{"type":"cache","id":"one","target":"/d"}]',
    });
    expect(JSON.stringify(changes(mounts({ ...keyed, target: '/t' }), mounts(keyed)))).not.toContain(now);
  });

  it('tells the first line of a here-document that differs', () => {
    const of = (text: string): Given => ({ name: 'RUN <<E', op: { args: ['sh', '-c', text] } });
    expect(changes(of('a\nb2\nc2'), of('a\nb\nc'))).toEqual([{ kind: 'instruction', old: 'b', new: 'b2' }]);
  });
});

describe('counterparts', () => {
  const steps = (stage: string, ...names: readonly string[]) => names.map((name) => keyed({ stage, name }));
  const paired = (now: readonly KeyedVertex[], past: readonly KeyedVertex[]) =>
    now.map((one) => counterparts(now, past).get(one.key)?.name);

  it('are the same steps, and between them what stands in their place', () => {
    const past = steps('', 'RUN a', 'RUN b', 'RUN c');
    expect(paired(steps('', 'RUN a', 'RUN B', 'RUN c'), past)).toEqual(['RUN a', 'RUN b', 'RUN c']);
    expect(paired(steps('', 'RUN a', 'RUN c'), past)).toEqual(['RUN a', 'RUN c']);
    expect(paired(steps('', 'RUN a', 'RUN new thing', 'RUN b', 'RUN c'), past)).toEqual([
      'RUN a',
      undefined,
      'RUN b',
      'RUN c',
    ]);
  });

  it('are stage by stage, whatever a stage is called, and never twice the same', () => {
    const past = [...steps('one', 'RUN a'), ...steps('two', 'RUN a', 'RUN b')];
    const now = [...steps('uno', 'RUN a'), ...steps('two', 'RUN a', 'RUN b2')];
    const found = now.map((one) => counterparts(now, past).get(one.key));
    expect(found).toEqual([past[0], past[1], past[2]]);
  });
});

describe('what is shown of secrets', () => {
  it('is that they changed', () => {
    const op = { env: ['API_TOKEN=hunter22', 'PUBLIC_KEY_FILE=visible', 'SHORT_KEY=ab'] };
    const values = secretValues([keyed({ op })]);
    expect(values).toEqual(['hunter22']);
    const cause: MissCause = {
      kind: 'changed',
      changes: [
        { kind: 'variable', from: 'ARG', name: 'API_TOKEN', old: null, new: 'hunter22' },
        { kind: 'instruction', old: 'RUN login hunter22', new: 'RUN login' },
        { kind: 'setting', name: 'USER', old: null, new: 'hunter22x' },
      ],
    };
    const shown = redacted(cause, (text) => without(values, text));
    expect(JSON.stringify(shown)).not.toContain('hunter22');
    expect(shown).toMatchObject({
      changes: [
        { old: null, new: '***' },
        { old: 'RUN login ***', new: 'RUN login' },
        { old: null, new: '***x' },
      ],
    });
    const followed: MissCause = { kind: 'followed', step: { vertex: digestOf('s'), name: 's', line: 1 }, cause };
    expect(JSON.stringify(redacted(followed, (text) => without(values, text)))).not.toContain('hunter22');
  });

  it('is none of what addresses hold', () => {
    const cause: MissCause = {
      kind: 'changed',
      changes: [
        { kind: 'files', source: 'https://user:hunter22@example.com/a', total: 0, files: [] },
        { kind: 'commit', repository: 'https://user:hunter22@example.com/a.git', old: 'a', new: 'b' },
        { kind: 'files', source: 'https://example.com/hunter33/a', total: 0, files: [] },
      ],
    };
    const shown = JSON.stringify(redacted(cause, (text) => without(['hunter33'], text)));
    expect(shown).not.toMatch(/hunter|user:/);
    expect(shown).toContain('example.com/a.git');
  });

  it('is cut where it is long, around what differs', () => {
    const [old, now] = [
      'x'.repeat(50_000) + 'old' + 'y'.repeat(50_000),
      'x'.repeat(50_000) + 'new' + 'y'.repeat(50_000),
    ];
    const shown = redacted({ kind: 'changed', changes: [{ kind: 'instruction', old, new: now }] }, (text) => text);
    expect(JSON.stringify(shown).length).toBeLessThan(5000);
    expect(shown).toMatchObject({
      changes: [{ old: expect.stringContaining('old') as unknown, new: expect.stringContaining('new') as unknown }],
    });
  });
});
