import { describe, expect, test } from 'vitest';
import type { KilnError } from '#std';
import { FakeRegistry, lower, vertices, warnings } from './lowered.fixture.ts';

/** The last exec of a Dockerfile, and the operations that its inputs are. */
async function exec(text: string, options: Parameters<typeof lower>[1] = {}) {
  const lowered = await lower(text, options);
  const found = vertices(lowered).findLast(({ op }) => op.kind === 'exec');
  if (found?.op.kind !== 'exec') throw new Error('no exec');
  const inputs = found.inputs.map(({ vertex }) => lowered.definition.vertices.get(vertex)?.op);
  return { op: found.op, inputs, lowered };
}

const mounts = async (flags: string, before = 'FROM a'): Promise<unknown> =>
  (await exec(`${before}\nRUN ${flags} true`)).op.mounts;

describe('RUN --mount', () => {
  test('of the context: bind is the type, read-only the way', async () => {
    const { op, inputs } = await exec(
      'FROM a\nWORKDIR /w\nRUN --mount=target=x,source=/src/../lib/ --mount=dst=/y,rw cat x',
    );
    expect(op.mounts).toEqual([
      { type: 'bind', target: '/w/x', input: 1, source: 'lib', readonly: true },
      { type: 'bind', target: '/y', input: 2, source: '', readonly: false },
    ]);
    expect(inputs.slice(1)).toEqual([
      { kind: 'local', name: 'context' },
      { kind: 'local', name: 'context' },
    ]);
  });

  test('of a stage, of an image, of nothing', async () => {
    const { op, inputs } = await exec(
      'FROM a AS s\nRUN one\nFROM a\nRUN --mount=from=S,target=/m --mount=from=other,target=/i --mount=from=scratch,target=/e true',
    );
    expect(op.mounts).toMatchObject([{ input: 1 }, { input: 2 }, { input: 3 }]);
    expect(inputs.slice(1)).toMatchObject([{ kind: 'exec' }, { kind: 'image' }, { kind: 'scratch' }]);
  });

  test('asks for no image that it does not name, and for no stage that nobody needs', async () => {
    const registry = new FakeRegistry();
    await lower('FROM b AS unused\nFROM a AS s\nFROM c\nRUN --mount=from=s,target=/m true', {}, registry);
    expect(registry.asked.map((text) => text.split(' ')[0]).sort()).toEqual([
      'docker.io/library/a:latest',
      'docker.io/library/c:latest',
    ]);
  });

  test('caches', async () => {
    expect(await mounts('--mount=type=cache,target=/c/')).toEqual([
      { type: 'cache', target: '/c', id: '/c', sharing: 'shared', source: '', readonly: false },
    ]);
    const { op } = await exec(
      'FROM a AS s\nFROM a\nRUN --mount=type=cache,id=i,dst=c,sharing=Locked,mode=1700,uid=5,gid=6,from=s,src=/d,ro true',
    );
    expect(op.mounts).toEqual([
      {
        type: 'cache',
        target: '/c',
        id: 'i',
        sharing: 'locked',
        input: 1,
        source: 'd',
        mode: 0o1700,
        uid: 5,
        gid: 6,
        readonly: true,
      },
    ]);
  });

  test('memory', async () => {
    expect(await mounts('--mount=type=tmpfs,target=/t --mount=type=tmpfs,target=/u,size=64m,ro')).toEqual([
      { type: 'tmpfs', target: '/t' },
      { type: 'tmpfs', target: '/u', sizeBytes: 64 * 1024 ** 2, readonly: true },
    ]);
  });

  test('secrets: the file by its id, a path, a variable, or both', async () => {
    const rest = { type: 'secret', required: false, mode: 0o400, uid: 0, gid: 0 };
    expect(await mounts('--mount=type=secret,id=a/b')).toEqual([{ ...rest, id: 'a/b', target: '/run/secrets/b' }]);
    expect(await mounts('--mount=type=secret,target=/root/.npmrc')).toEqual([
      { ...rest, id: '.npmrc', target: '/root/.npmrc' },
    ]);
    expect(await mounts('--mount=type=secret,id=t,env=TOKEN,required')).toEqual([
      { ...rest, id: 't', env: 'TOKEN', required: true },
    ]);
    expect(await mounts('--mount=type=secret,id=t,env=TOKEN,target=/f,mode=0444,uid=1,gid=2')).toEqual([
      { ...rest, id: 't', env: 'TOKEN', target: '/f', mode: 0o444, uid: 1, gid: 2 },
    ]);
  });

  test('agents, and the variable that leads to the first', async () => {
    const { op } = await exec('FROM a\nRUN --mount=type=ssh --mount=type=ssh,id=github,required true');
    expect(op.mounts).toMatchObject([
      { type: 'ssh', id: 'default', target: '/run/buildkit/ssh_agent.0', required: false, mode: 0o600 },
      { type: 'ssh', id: 'github', target: '/run/buildkit/ssh_agent.1', required: true },
    ]);
    expect(op.env.at(-1)).toBe('SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0');
    const own = await exec('FROM a\nENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh,target=/s true');
    expect(own.op.env).toContain('SSH_AUTH_SOCK=/mine');
    expect(own.op.env).not.toContain('SSH_AUTH_SOCK=/s');
  });

  test('variables in values, quotes around fields', async () => {
    const before = 'FROM a\nARG t=cache\nARG id=k\nENV at=/here';
    expect(await mounts('--mount=type=$t,id=${id}-1,target=$at', before)).toMatchObject([
      { type: 'cache', id: 'k-1', target: '/here' },
    ]);
    expect(await mounts(`--mount='type=tmpfs,"target=/a,b"'`)).toMatchObject([{ target: '/a,b' }]);
  });

  test('an ONBUILD trigger mounts too', async () => {
    const { op } = await exec(
      'FROM a AS base\nONBUILD RUN --mount=target=/m,from=tool true\nFROM a AS tool\nFROM base',
    );
    expect(op.mounts).toMatchObject([{ target: '/m', input: 1 }]);
  });
});

test.each([
  ['--mount', 'missing a value on flag: --mount'],
  ['--mount=', 'failed to parse csv mounts'],
  ['--mount=type=bogus,target=/x', 'unsupported mount type "bogus"'],
  ['--mount=type=cahce,target=/x', 'unsupported mount type "cahce" (did you mean cache?)'],
  ['--mount=target=/', 'invalid mount target "/"'],
  ['--mount=type=tmpfs', 'invalid mount target "/"'],
  ['--mount=tagret=/x', "unexpected key 'tagret' in 'tagret=/x' (did you mean target?)"],
  ['--mount=target', "invalid field 'target' must be a key=value pair"],
  ['--mount=target=/x,required', "unexpected key 'required' for mount type 'bind'"],
  ['--mount=size=1m,type=tmpfs,target=/x', "unexpected key 'size' for mount type 'bind'"],
  ['--mount=type=tmpfs,target=/x,size=much', 'invalid value for size: much'],
  ['--mount=target=/x,mode=755', 'mode not allowed for "bind" type mounts'],
  ['--mount=type=cache,target=/x,mode=rwx', 'invalid value rwx for mode'],
  ['--mount=type=cache,target=/x,uid=-1', 'invalid value -1 for uid'],
  ['--mount=target=/x,ro=maybe', 'invalid value for ro: maybe'],
  ['--mount=type=cache,target=/x,sharing=some', 'unsupported sharing value "some"'],
  ['--mount=target=/x,sharing=locked', 'invalid cache sharing set for bind mount'],
  ['--mount=type=secret', 'one of source, target required'],
  ['--mount=type=secret,id=a,source=b', "both source and id can't be set"],
  ['--mount=type=secret,id=a,env==', 'invalid name of a variable'],
  ['--mount=type=secret,id=a,from=s', 'secret mount should not have a from'],
  ['--mount=type=ssh,source=x', 'ssh does not support source'],
  ['--mount=from=$x,target=/x', "'from' doesn't support variable expansion"],
  ['--mount=from=later,target=/x', 'cannot mount from stage "later"'],
  ['--mount=from=self,target=/x', 'circular dependency detected on stage: self'],
  ['--network=bridge', 'invalid network mode "bridge"'],
  ['--security=unsafe', 'security "unsafe" is not valid'],
])('RUN %s is refused with its line', async (flags, message) => {
  const text = `FROM a AS self\nENV x=1\nRUN ${flags} true\nFROM a AS later\nFROM self`;
  const thrown: unknown = await lower(text).catch((reason: unknown) => reason);
  expect(thrown).toMatchObject({ code: 'DOCKERFILE_INVALID', line: 3 });
  expect((thrown as KilnError).message).toContain(message);
});

test('devices are named in the order in which they stand', async () => {
  const { op } = await exec('FROM a\nRUN --device=vendor.com/gpu=all --device=b,required true');
  expect(op.devices).toEqual([
    { name: 'vendor.com/gpu=all', required: false },
    { name: 'b', required: true },
  ]);
  expect((await exec('FROM a\nRUN true')).op).not.toHaveProperty('devices');
});

describe('what a build adds to every RUN', () => {
  test('network and security', async () => {
    expect((await exec('FROM a\nRUN x', { network: 'host' })).op.network).toBe('host');
    expect((await exec('FROM a\nRUN --network=none x', { network: 'host' })).op.network).toBe('none');
    const { op } = await exec('FROM a\nRUN --network=host --security=insecure x');
    expect(op).toMatchObject({ network: 'host', security: 'insecure' });
    expect((await exec('FROM a\nRUN --security=sandbox x')).op).not.toHaveProperty('security');
  });

  test('hosts and limits', async () => {
    const extraHosts = [{ name: 'db', address: '10.0.0.1' }];
    const { op } = await exec('FROM a\nRUN x', { extraHosts, limits: { memoryBytes: 1, cpuMillis: undefined } });
    expect(op.extraHosts).toEqual(extraHosts);
    expect(op.limits).toEqual({ memoryBytes: 1 });
    expect((await exec('FROM a\nRUN x', { extraHosts: [], limits: {} })).op).not.toHaveProperty('limits');
  });

  test('proxies, beside the environment, in both cases', async () => {
    const buildArgs = { http_proxy: 'http://p', NO_PROXY: 'x', FTP_PROXY: '' };
    const plain = await exec('FROM a\nRUN x', { buildArgs });
    expect(plain.op.proxyEnv).toEqual(['HTTP_PROXY=http://p', 'http_proxy=http://p', 'NO_PROXY=x', 'no_proxy=x']);
    expect(plain.op.env.join()).not.toContain('proxy');
    expect(JSON.stringify([plain.lowered.history, plain.lowered.config])).not.toContain('http://p');
    expect(warnings(plain.lowered)).toEqual([]);
    const declared = await exec('FROM a\nARG http_proxy\nRUN x', { buildArgs });
    expect(declared.op.env).toContain('http_proxy=http://p');
    expect(declared.op.proxyEnv).not.toContain('http_proxy=http://p');
  });
});
