import { describe, expect, test } from 'vitest';
import { created, FakeRegistry, lower, names, ops, path } from './lowered.fixture.ts';

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

  test("the base's environment stays as it is written, and RUN sees the last of each name", async () => {
    const twice = new FakeRegistry({ 'docker.io/library/base:latest': { Env: ['A=1', 'B', path, 'A=2'] } });
    const lowered = await lower('FROM base\nENV C=$A\nRUN x', {}, twice);
    expect(lowered.config.Env).toEqual(['A=1', 'B', path, 'A=2', 'C=2']);
    expect(ops(lowered).at(-1)).toMatchObject({ env: ['B=', path, 'A=2', 'C=2'] });
    expect((await lower('FROM base\nENV A=3', {}, twice)).config.Env).toEqual(['A=3', 'B', path, 'A=2']);
  });

  test('what is no text on its own becomes U+FFFD in JSON form', async () => {
    expect(
      (
        await lower(String.raw`FROM scratch
CMD ["\ud83d", "\ud83d\ude00"]`)
      ).config.Cmd,
    ).toEqual(['\ufffd', '\u{1f600}']);
  });

  test('ONBUILD keeps the blanks at the end of its trigger', async () => {
    expect((await lower('FROM scratch\n  onbuild  RUN x \n')).config.OnBuild).toEqual(['RUN x ']);
  });

  test('flags of HEALTHCHECK mean nothing to NONE', async () => {
    const { config } = await lower('FROM scratch\nHEALTHCHECK --retries=2147483647 NONE');
    expect(config.Healthcheck).toEqual({ Test: ['NONE'] });
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
