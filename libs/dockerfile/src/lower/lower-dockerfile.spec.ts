import { describe, expect, test } from 'vitest';
import type { LowerOptions } from './lower-options.ts';
import { FakeRegistry, lower, names, ops, path, vertices, warnings, created } from './lowered.fixture.ts';

describe('the graph', () => {
  test('of the classic Dockerfile', async () => {
    const registry = new FakeRegistry();
    const lowered = await lower('FROM node:20\nWORKDIR app\nCOPY . .\nRUN npm ci', {}, registry);
    const digest = registry.digest('docker.io/library/node:20');
    expect(names(lowered)).toEqual([
      `[1/4] FROM docker.io/library/node:20@${digest}`,
      '[2/4] WORKDIR app',
      '[internal] load build context',
      '[3/4] COPY . .',
      '[4/4] RUN npm ci',
    ]);
    expect(ops(lowered)).toEqual([
      { kind: 'image', reference: 'docker.io/library/node', digest },
      { kind: 'mkdir', path: '/app', mode: 0o755 },
      { kind: 'local', name: 'context' },
      { kind: 'copy', from: [{ input: 1, patterns: ['.'] }], dest: '/app/' },
      { kind: 'exec', args: ['/bin/sh', '-c', 'npm ci'], env: [path], cwd: '/app', user: '', network: 'default' },
    ]);
    expect(created(lowered)).toEqual(['L WORKDIR /app', 'L COPY . . # buildkit', 'L RUN /bin/sh -c npm ci # buildkit']);
    expect(lowered.base?.digest).toBe(digest);
    expect(lowered.definition.roots[0]?.vertex).toBe(vertices(lowered).at(-1)?.digest);
  });

  test('holds and resolves only what the target needs, images at the same time', async () => {
    const text =
      'FROM a AS one\nRUN 1\nFROM b AS two\nRUN 2\nFROM missing AS three\nFROM scratch\nCOPY --from=one /x /\nCOPY --from=c /y /';
    const registry = new FakeRegistry();
    let waiting = 0;
    let most = 0;
    const slow = new FakeRegistry();
    slow.resolve = async (reference, platform) => {
      most = Math.max(most, (waiting += 1));
      await new Promise(setImmediate);
      waiting -= 1;
      return registry.resolve(reference, platform);
    };
    const lowered = await lower(text, {}, slow);
    expect(registry.asked.toSorted()).toEqual([
      'docker.io/library/a:latest linux/amd64',
      'docker.io/library/c:latest linux/amd64',
    ]);
    expect(most).toBe(2);
    expect(names(lowered).filter((name) => name.includes('RUN'))).toEqual(['[one 2/2] RUN 1']);
    expect(vertices(lowered).map(({ label }) => label.stage)).toEqual(['one', 'one', '3', '3', '', '3']);
  });

  test('stages by name, by number, and standing on each other', async () => {
    const text =
      'FROM a AS base\nENV X=1\nCMD ["x"]\nFROM base AS Mid\nRUN y\nFROM mid\nCOPY --from=0 /a /b\nCOPY --from=MID /c /d';
    const lowered = await lower(text);
    expect(names(lowered).slice(1)).toEqual([
      '[mid 1/1] RUN y',
      '[stage-2 1/2] COPY --from=0 /a /b',
      '[stage-2 2/2] COPY --from=MID /c /d',
    ]);
    expect(lowered.config).toMatchObject({ Env: [path, 'X=1'], Cmd: ['x'] });
    expect(created(lowered)).toHaveLength(5);
    expect((await lower(text, { target: 'Base' })).history).toHaveLength(2);
  });

  test('platforms of stages', async () => {
    const arm64 = { os: 'linux', architecture: 'arm64' };
    const registry = new FakeRegistry();
    const text =
      'FROM --platform=$BUILDPLATFORM go AS b\nARG TARGETARCH\nRUN make $TARGETARCH\nFROM x\nCOPY --from=b /o /';
    const lowered = await lower(text, { platform: arm64 }, registry);
    expect(registry.asked).toEqual([
      'docker.io/library/go:latest linux/amd64',
      'docker.io/library/x:latest linux/arm64',
    ]);
    expect(lowered.platform).toEqual(arm64);
    expect(vertices(lowered).flatMap(({ op }) => (op.kind === 'exec' ? [op.env] : []))).toEqual([
      [path, 'TARGETARCH=arm64'],
    ]);
  });

  test('COPY and ADD: where from, where to, whose', async () => {
    const text =
      'FROM scratch\nWORKDIR /w\nCOPY ["./a b", "/c/", "sub/"]\nADD --chown=1:2 --chmod=0640 ../../x* /d\nCOPY a ../e\nCOPY f /.';
    expect(ops(await lower(text)).filter((op) => (op as { kind: string }).kind === 'copy')).toEqual([
      { kind: 'copy', from: [{ input: 1, patterns: ['a b', 'c'] }], dest: '/w/sub/' },
      { kind: 'copy', from: [{ input: 1, patterns: ['x*'], unpack: true }], dest: '/d', chown: '1:2', chmod: 0o640 },
      { kind: 'copy', from: [{ input: 1, patterns: ['a'] }], dest: '/e' },
      { kind: 'copy', from: [{ input: 1, patterns: ['f'] }], dest: '/' },
    ]);
  });

  test('--no-cache and --no-cache-filter mark steps', async () => {
    const text = 'FROM a AS b\nRUN x\nFROM b\nRUN y';
    const ignored = async (options: Partial<LowerOptions>): Promise<readonly string[]> =>
      vertices(await lower(text, options))
        .filter(({ label }) => label.ignoreCache)
        .map(({ label }) => label.name);
    expect(await ignored({})).toEqual([]);
    expect(await ignored({ noCache: true })).toEqual(['[b 2/2] RUN x', '[stage-1 1/1] RUN y']);
    expect(await ignored({ noCacheFilter: ['B'] })).toEqual(['[b 2/2] RUN x']);
  });

  test('numbers line up when there are many steps', async () => {
    const lowered = await lower(`FROM scratch\n${'RUN x\n'.repeat(10)}`);
    expect(names(lowered).at(1)).toBe('[ 1/10] RUN x');
  });
});

describe('variables', () => {
  test('arguments: global, of the stage, from outside; the order in which RUN sees them', async () => {
    const text = 'ARG V=1\nARG G=g\nFROM a:$V\nENV E=e PATH=/p\nARG G\nARG D=$E-d U\nRUN x\nLABEL l=$G$D';
    const lowered = await lower(text, { buildArgs: { V: '2' } });
    const digest = new FakeRegistry().digest('docker.io/library/a:2');
    expect(names(lowered)[0]).toBe(`[1/2] FROM docker.io/library/a:2@${digest}`);
    expect(ops(lowered).at(-1)).toMatchObject({ env: ['E=e', 'PATH=/p', 'G=g', 'D=e-d'] });
    expect(lowered.config).toMatchObject({ Env: ['PATH=/p', 'E=e'], Labels: { l: 'ge-d' } });
    expect(created(lowered)).toEqual([
      'e ENV E=e PATH=/p',
      'e ARG G=g',
      'e ARG D=e-d U',
      'L RUN |3 G=g D=e-d U= /bin/sh -c x # buildkit',
      'e LABEL l=ge-d',
    ]);
  });

  test('ENV sees what was before the instruction', async () => {
    expect((await lower('FROM scratch\nENV a=1\nENV a=2 b=$a\nENV c="$a $b" d=\'$a\' e=x\\ y')).config.Env).toEqual([
      path,
      'a=2',
      'b=1',
      'c=2 1',
      'd=$a',
      'e=x y',
    ]);
  });

  test('stages that --no-cache-filter names and that are not there are told', async () => {
    const lowered = await lower('FROM scratch AS Build\nRUN x', { noCacheFilter: ['build', 'biuld', 'x'] });
    expect(warnings(lowered).filter((text) => text.includes('filter'))).toEqual([
      '--no-cache-filter: there is no stage "biuld" (did you mean build?)',
      '--no-cache-filter: there is no stage "x"',
    ]);
  });

  test('what nothing consumes is told; proxies stay out of the environment', async () => {
    const buildArgs = { used: '1', nope: '2', HTTP_PROXY: 'http://p' };
    const lowered = await lower('FROM scratch\nARG used\nRUN x', { buildArgs });
    expect(warnings(lowered)).toEqual(['One or more build-args [nope] were not consumed']);
    expect(ops(lowered).at(-1)).toMatchObject({ env: [path, 'used=1'] });
    const mistyped = await lower('FROM scratch\nARG used\nRUN x', { buildArgs: { usde: '1' } });
    expect(warnings(mistyped)[0]).toContain('(did you mean used?)');
    const declared = await lower('FROM scratch\nARG HTTP_PROXY\nRUN x', { buildArgs: { HTTP_PROXY: 'http://p' } });
    expect(ops(declared).at(-1)).toMatchObject({ env: [path, 'HTTP_PROXY=http://p'] });
  });

  test('values cannot be made to explode', async () => {
    const doubling = Array.from({ length: 40 }, () => 'ENV A=$A$A').join('\n');
    await expect(lower(`FROM scratch\nENV A=xxxxxxxx\n${doubling}`)).rejects.toMatchObject({
      code: 'DOCKERFILE_INVALID',
    });
    const many = Array.from({ length: 40 }, (_, index) => `ENV B${index}=$A`).join('\n');
    await expect(lower(`FROM scratch\nENV A=${'x'.repeat(50_000)}\n${many}`)).rejects.toThrow('environment is larger');
  });
});
