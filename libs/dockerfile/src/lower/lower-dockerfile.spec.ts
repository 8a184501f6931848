import { describe, expect, test } from 'vitest';
import type { ImageResolver, Lowered, Vertex } from '#graph';
import { type Digest, digestOf, formatPlatform, type Platform, type RunConfig } from '#oci';
import { KilnError } from '#std';
import { parseDockerfile } from '../parse/parse-dockerfile.ts';
import { lowerDockerfile } from './lower-dockerfile.ts';
import type { LowerOptions } from './lower-options.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Images by their full names; counts what is asked. */
class FakeRegistry implements ImageResolver {
  readonly asked: string[] = [];
  readonly #configs: Readonly<Record<string, RunConfig>>;

  constructor(configs: Readonly<Record<string, RunConfig>> = {}) {
    this.#configs = configs;
  }

  digest(reference: string, platform = amd64): Digest {
    return digestOf(`${reference} ${formatPlatform(platform)}`);
  }

  async resolve(reference: string, platform: Platform): ReturnType<ImageResolver['resolve']> {
    this.asked.push(`${reference} ${formatPlatform(platform)}`);
    if (reference.includes('missing')) throw new KilnError('IMAGE_NOT_FOUND', `no ${reference}`);
    const config = this.#configs[reference] ?? { Env: [path], Cmd: ['/bin/sh'] };
    return {
      reference: reference.replace(/:[^:/]+$/, ''),
      digest: this.digest(reference, platform),
      config: { ...platform, config, rootfs: { type: 'layers', diff_ids: [digestOf(reference)] } },
    };
  }
}

async function lower(
  text: string,
  options: Partial<LowerOptions> = {},
  registry: ImageResolver = new FakeRegistry(),
): Promise<Lowered> {
  const all = {
    buildArgs: {},
    labels: {},
    platform: amd64,
    buildPlatform: amd64,
    noCache: false,
    noCacheFilter: [],
    network: 'default',
  } as const;
  return lowerDockerfile(parseDockerfile(text), { ...all, ...options }, registry);
}

const vertices = ({ definition }: Lowered): readonly Vertex[] => [...definition.vertices.values()];
const names = (lowered: Lowered): readonly string[] => vertices(lowered).map(({ label }) => label.name);
const ops = (lowered: Lowered): readonly unknown[] => vertices(lowered).map(({ op }) => op);
const created = ({ history }: Lowered): readonly string[] =>
  history.map(({ createdBy, emptyLayer }) => `${emptyLayer ? 'e' : 'L'} ${createdBy}`);
const warnings = (lowered: Lowered): readonly string[] => lowered.warnings.map(({ message }) => message);

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
      { kind: 'copy', sources: ['.'], dest: '/app/' },
      { kind: 'exec', args: ['/bin/sh', '-c', 'npm ci'], env: [path], cwd: '/app', user: '', network: 'default' },
    ]);
    expect(created(lowered)).toEqual(['L WORKDIR /app', 'L COPY . . # buildkit', 'L RUN /bin/sh -c npm ci # buildkit']);
    expect(lowered.base?.digest).toBe(digest);
    expect(lowered.definition.root.vertex).toBe(vertices(lowered).at(-1)?.digest);
  });

  test('holds and resolves only what the target needs, images at the same time', async () => {
    const text =
      'FROM a AS one\nRUN 1\nFROM b AS two\nRUN 2\nFROM missing AS three\nFROM scratch\nCOPY --from=one /x /\nCOPY --from=c /y /';
    const registry = new FakeRegistry();
    let waiting = 0;
    let most = 0;
    const slow: ImageResolver = {
      resolve: async (reference, platform) => {
        most = Math.max(most, (waiting += 1));
        await new Promise(setImmediate);
        waiting -= 1;
        return registry.resolve(reference, platform);
      },
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
      { kind: 'copy', sources: ['a b', 'c'], dest: '/w/sub/' },
      { kind: 'copy', sources: ['x*'], dest: '/d', chown: '1:2', chmod: 0o640, unpack: true },
      { kind: 'copy', sources: ['a'], dest: '/e' },
      { kind: 'copy', sources: ['f'], dest: '/' },
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

  test('what nothing consumes is told; proxies stay out of the environment', async () => {
    const buildArgs = { used: '1', nope: '2', HTTP_PROXY: 'http://p' };
    const lowered = await lower('FROM scratch\nARG used\nRUN x', { buildArgs });
    expect(warnings(lowered)).toEqual([
      '[Warning] [HTTP_PROXY] reach RUN only where the Dockerfile declares them with ARG',
      '[Warning] One or more build-args [nope] were not consumed',
    ]);
    expect(ops(lowered).at(-1)).toMatchObject({ env: [path, 'used=1'] });
    const declared = await lower('FROM scratch\nARG HTTP_PROXY\nRUN x', { buildArgs: { HTTP_PROXY: 'http://p' } });
    expect(ops(declared).at(-1)).toMatchObject({ env: [path, 'HTTP_PROXY=http://p'] });
  });

  test('values cannot be made to explode', async () => {
    const doubling = Array.from({ length: 40 }, () => 'ENV A=$A$A').join('\n');
    await expect(lower(`FROM scratch\nENV A=xxxxxxxx\n${doubling}`)).rejects.toMatchObject({
      code: 'DOCKERFILE_INVALID',
    });
    const many = Array.from({ length: 40 }, (_, index) => `ENV B${index}=$A`).join('\n');
    await expect(lower(`FROM scratch\nENV A=${'x'.repeat(100_000)}\n${many}`)).rejects.toThrow('environment is larger');
  });
});

describe('the image', () => {
  test('config and history of instructions without a layer', async () => {
    const lowered = await lower(
      [
        'FROM scratch',
        'USER 1:2',
        'EXPOSE 80 53/UDP 8000-8001',
        'VOLUME /v ["x"]',
        'VOLUME ["/a b"]',
        'STOPSIGNAL SIGINT',
        'SHELL ["/bin/bash", "-c"]',
        'CMD a "b"',
        'HEALTHCHECK --interval=1m CMD x',
        'MAINTAINER me',
        'LABEL k="v w"',
        'ONBUILD RUN z',
        'WORKDIR /',
      ].join('\n'),
      { labels: { k: 'over', z: '1' } },
    );
    expect(lowered.config).toEqual({
      WorkingDir: '/',
      Env: [path],
      User: '1:2',
      ExposedPorts: { '53/udp': {}, '80/tcp': {}, '8000/tcp': {}, '8001/tcp': {} },
      Volumes: { '/v': {}, '[x]': {}, '/a b': {} },
      StopSignal: 'SIGINT',
      Shell: ['/bin/bash', '-c'],
      Cmd: ['/bin/bash', '-c', 'a "b"'],
      ArgsEscaped: true,
      Healthcheck: { Test: ['CMD-SHELL', 'x'], Interval: 60e9 },
      Labels: { k: 'over', z: '1' },
      OnBuild: ['RUN z'],
    });
    expect(lowered.author).toBe('me');
    expect(created(lowered)).toEqual([
      'e USER 1:2',
      'e EXPOSE [53/udp 80/tcp 8000/tcp 8001/tcp]',
      'e VOLUME [/v [x]]',
      'e VOLUME [/a b]',
      'e STOPSIGNAL SIGINT',
      'e SHELL [/bin/bash -c]',
      'e CMD ["/bin/bash" "-c" "a \\"b\\""]',
      'e HEALTHCHECK {Test:[CMD-SHELL x] Interval:1m0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}',
      'e MAINTAINER me',
      'e LABEL k=v w',
      'e WORKDIR /',
    ]);
    expect(lowered.history.every(({ comment }) => comment === 'buildkit.dockerfile.v0')).toBe(true);
  });

  const base = new FakeRegistry({
    'docker.io/library/base:latest': {
      Env: ['X=1'],
      Entrypoint: ['/e'],
      Cmd: ['c'],
      User: 'app',
      WorkingDir: '/home',
      Shell: ['/bin/ash', '-ec'],
    },
  });

  test('what a base gives', async () => {
    const lowered = await lower('FROM base\nWORKDIR sub\nRUN x', {}, base);
    expect(lowered.config).toMatchObject({
      Env: ['X=1', path],
      Entrypoint: ['/e'],
      Cmd: ['c'],
      User: 'app',
      WorkingDir: '/home/sub',
    });
    expect(ops(lowered).slice(1)).toEqual([
      { kind: 'mkdir', path: '/home/sub', mode: 0o755, chown: 'app' },
      {
        kind: 'exec',
        args: ['/bin/ash', '-ec', 'x'],
        env: ['X=1', path],
        cwd: '/home/sub',
        user: 'app',
        network: 'default',
      },
    ]);
  });

  test("an ENTRYPOINT takes the base's CMD away, not that of its own stage", async () => {
    expect((await lower('FROM base\nENTRYPOINT ["/n"]', {}, base)).config).not.toHaveProperty('Cmd');
    expect((await lower('FROM base\nCMD ["m"]\nENTRYPOINT ["/n"]', {}, base)).config.Cmd).toEqual(['m']);
  });

  test('ONBUILD of a base runs first, once, and may need further images', async () => {
    const registry = new FakeRegistry({
      'docker.io/library/on:latest': { Env: [path], OnBuild: ['ENV T=1', 'COPY --from=extra /x /y', 'RUN $T'] },
    });
    const lowered = await lower('FROM on AS a\nRUN b\nFROM a\nRUN c', {}, registry);
    expect(registry.asked).toHaveLength(2);
    expect(names(lowered).filter((name) => name.includes('RUN') || name.includes('COPY'))).toEqual([
      '[a 2/4] ONBUILD COPY --from=extra /x /y',
      '[a 3/4] ONBUILD RUN $T',
      '[a 4/4] RUN b',
      '[stage-1 1/1] RUN c',
    ]);
    expect(lowered.config).not.toHaveProperty('OnBuild');
    const stages = await lower('FROM scratch AS p\nONBUILD ENV F=1\nFROM p AS q\nFROM q');
    expect(stages.history.map(({ createdBy }) => createdBy)).toEqual(['ENV F=1']);
  });

  test('RUN without network', async () => {
    expect(ops(await lower('FROM scratch\nRUN --network=none x')).at(-1)).toMatchObject({ network: 'none' });
    expect(ops(await lower('FROM scratch\nRUN x', { network: 'none' })).at(-1)).toMatchObject({ network: 'none' });
  });
});

describe('refusals name the line', () => {
  test.each([
    ['FROM $NONE', 1, 'base name ($NONE) should not be blank'],
    ['FROM UPPER', 1, 'failed to parse stage name "UPPER"'],
    ['FROM --platform=lin_ux/a/b/c x', 1, 'failed to parse platform'],
    ['FROM a AS x\nCOPY --from=7 a b', 2, 'invalid stage index 7'],
    ['FROM a AS x\nCOPY --from=x a b', 2, 'circular dependency detected on stage: x'],
    ['FROM a AS x\nCOPY --from=y a b\nFROM x AS y\nRUN z', 2, 'circular dependency detected on stage: x'],
    [
      'FROM b AS y\nCOPY --from=z a b\nFROM a AS z\nFROM y',
      2,
      'cannot copy from stage "z", it needs to be defined before current stage "y"',
    ],
    ['FROM a\nCOPY --from=$x a b', 2, 'variable expansion is not supported for --from'],
    ['FROM a\nCOPY a b c', 2, 'When using COPY with more than one source file'],
    ['FROM a\nCOPY --chmod=999 a c', 2, "invalid chmod parameter: '999'"],
    ['FROM a\nCOPY https://x/y /z', 2, "source can't be a URL for COPY"],
    ['FROM a\nENV x=${y', 2, "syntax error: missing '}'"],
    ['FROM a\nENV x="y', 2, 'matching double-quote'],
    ['FROM a\nRUN x\nEXPOSE eighty', 3, 'invalid containerPort: eighty'],
    ['FROM a\nEXPOSE 70000', 2, 'invalid containerPort: 70000'],
    ['FROM a\nEXPOSE 1.2.3.400:80:80', 2, 'invalid IP address: 1.2.3.400'],
    ['FROM a\nEXPOSE 80/http', 2, 'invalid proto: http'],
    ['FROM a\nSTOPSIGNAL SIGNOPE', 2, 'invalid signal: SIGNOPE'],
    ['FROM a\nVOLUME $x', 2, 'VOLUME specified can not be an empty string'],
    ['# check=error=true\nFROM a\nMAINTAINER x', 3, 'lint violation found for rules: MaintainerDeprecated'],
  ])('%j', async (text, line, message) => {
    const thrown: unknown = await lower(text).catch((reason: unknown) => reason);
    expect(thrown).toMatchObject({ code: 'DOCKERFILE_INVALID', line });
    expect((thrown as KilnError).message).toContain(message);
  });

  test.each([
    ['ADD https://x/y /z', 'ADD of a URL'],
    ['ADD https://x/y.git#v1 /z', 'ADD of a git repository'],
    ['ADD git@x.org:y/z /z', 'ADD of a git repository'],
    ['COPY --chmod=u+x a b', 'COPY --chmod=u+x'],
  ])('%s is not there yet', async (line, feature) => {
    await expect(lower(`FROM a\n${line}`)).rejects.toMatchObject({
      code: 'DOCKERFILE_UNSUPPORTED',
      line: 2,
      message: `${feature} is not supported`,
    });
  });

  test('an unknown target lists the stages', async () => {
    await expect(lower('FROM a AS build\nFROM b AS run', { target: 'buidl' })).rejects.toMatchObject({
      code: 'DOCKERFILE_INVALID',
      message: 'target stage "buidl" could not be found (did you mean build?)',
      hint: 'stages are build, run',
    });
  });

  test('an image that is not there', async () => {
    await expect(lower('FROM a\nFROM missing')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', line: 2 });
  });

  test('a cancelled build', async () => {
    const file = parseDockerfile('FROM a');
    const options = {
      buildArgs: {},
      labels: {},
      platform: amd64,
      buildPlatform: amd64,
      noCache: false,
      noCacheFilter: [],
      network: 'default',
    } as const;
    const reason = new KilnError('CANCELLED', 'stop');
    const signal = AbortSignal.abort(reason);
    await expect(lowerDockerfile(file, options, new FakeRegistry(), signal)).rejects.toBe(reason);
  });
});
