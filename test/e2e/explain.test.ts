import { chmod, lchown, mkdir, rename, rm, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { MissChange, OwnCause } from '#protocol';
import { GitServer, WebServer } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { type Explained, first, Workshop } from './explained.ts';
import { Farm } from './farm.ts';

let farm: Farm;
let web: WebServer;
let git: GitServer;
let shop: Workshop;
beforeAll(async () => {
  web = await WebServer.start();
  git = await GitServer.start();
  farm = await Farm.start({ egressAllow: [web.host, git.host] });
  shop = new Workshop(farm);
});
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await git[Symbol.asyncDispose]();
});

const DOCKERFILE = `FROM box:1 AS made
COPY in.txt /
RUN wc -c < in.txt > out.txt
FROM box:1 AS app
ARG VERSION=1.2
ARG API_TOKEN=none-of-yours
ENV MODE=dev EXTRA=1
LABEL a=1
WORKDIR /app
RUN echo one > /one
RUN echo two > /two
COPY package.json ./
COPY src ./src
COPY --chmod=644 run.sh conf.d /opt/
RUN --mount=type=bind,source=tool.txt,target=/tool.txt,ro cat /tool.txt
RUN <<END
echo first
echo second
END
COPY <<END /doc
line one
line two
END
COPY --from=made /out.txt /out.txt
RUN --mount=type=secret,id=one true
USER 1000
RUN echo last
CMD ["sh"]
`;

const FILES = {
  Dockerfile: DOCKERFILE,
  '.dockerignore': 'ignored\n',
  'in.txt': 'in',
  'package.json': '{"version": 1}',
  'src/a.ts': 'a',
  'src/b.ts': 'b',
  'src/x/y/z.ts': 'z',
  'run.sh': 'echo run',
  'conf.d/one.conf': 'one',
  'tool.txt': 'tool',
  'README.md': 'readme',
  'ignored/x': 'x',
};

const base = async (): Promise<string> => {
  const dir = await shop.folder(FILES);
  await symlink('a.ts', join(dir, 'src/link'));
  return dir;
};

/** The base with an edit, built in a scope of its own. */
async function edited(edit: (dir: string) => Promise<unknown>, ...args: readonly string[]): Promise<Explained> {
  const dir = await shop.copyOf('base', base);
  await edit(dir);
  return await shop.build(dir, await shop.branch(), ...args);
}

const inDockerfile =
  (from: string, to: string) =>
  async (dir: string): Promise<void> => {
    expect(DOCKERFILE).toContain(from);
    await write(dir, { Dockerfile: DOCKERFILE.replace(from, to) });
  };
const withStage = (dockerfile: string): string => `FROM box:1 AS new\nRUN echo new > /new\n${dockerfile}`;
const nothing = async (): Promise<void> => {};
const files = (...named: readonly unknown[]): unknown => ({
  kind: 'files',
  source: 'context',
  total: named.length,
  files: named.map((file): unknown => expect.objectContaining(file)),
});
const changed = (...changes: readonly unknown[]): unknown => ({ kind: 'changed', changes });
const instruction = (old: string, now: string): unknown => ({ kind: 'instruction', old, new: now });

type Edit = readonly [
  what: string,
  edit: (dir: string) => Promise<unknown>,
  step: string,
  cause: unknown,
  says?: string,
];

describe.concurrent('files', () => {
  it.for<Edit>([
    [
      'changed',
      (dir) => write(dir, { 'src/a.ts': 'other' }),
      'COPY src ./src',
      changed(files({ path: 'src/a.ts', change: 'changed', what: ['content'] })),
      'miss: src/a.ts changed',
    ],
    [
      'added',
      (dir) => write(dir, { 'src/new.ts': 'new' }),
      'COPY src ./src',
      changed(files({ path: 'src/new.ts', change: 'added' })),
      'miss: src/new.ts added',
    ],
    [
      'removed',
      (dir) => rm(join(dir, 'src/b.ts')),
      'COPY src ./src',
      changed(files({ path: 'src/b.ts', change: 'removed' })),
      'miss: src/b.ts removed',
    ],
    [
      'renamed',
      (dir) => rename(join(dir, 'src/b.ts'), join(dir, 'src/c.ts')),
      'COPY src ./src',
      changed(files({ path: 'src/c.ts', change: 'renamed', from: 'src/b.ts' })),
      'miss: src/b.ts renamed to src/c.ts',
    ],
    [
      'of another mode',
      (dir) => chmod(join(dir, 'src/a.ts'), 0o755),
      'COPY src ./src',
      changed(files({ path: 'src/a.ts', what: ['mode'] })),
      'miss: src/a.ts mode 0644 → 0755',
    ],
    [
      'a link that leads elsewhere',
      async (dir) => {
        await rm(join(dir, 'src/link'));
        await symlink('b.ts', join(dir, 'src/link'));
      },
      'COPY src ./src',
      changed(files({ path: 'src/link', what: ['link'] })),
      'miss: src/link link a.ts → b.ts',
    ],
    [
      'of another type',
      async (dir) => {
        await rm(join(dir, 'src/b.ts'));
        await mkdir(join(dir, 'src/b.ts'));
      },
      'COPY src ./src',
      changed(files({ path: 'src/b.ts', what: expect.arrayContaining(['type']) as unknown })),
      'miss: src/b.ts file → dir',
    ],
    [
      'deep down',
      (dir) => write(dir, { 'src/x/y/z.ts': 'other z' }),
      'COPY src ./src',
      changed(files({ path: 'src/x/y/z.ts', change: 'changed' })),
    ],
    [
      'an empty directory',
      (dir) => mkdir(join(dir, 'src/empty')),
      'COPY src ./src',
      changed(files({ path: 'src/empty', change: 'added' })),
    ],
    [
      'several sources: a file by its own name',
      (dir) => write(dir, { 'run.sh': 'echo changed' }),
      'COPY --chmod=644 run.sh conf.d /opt/',
      changed(files({ path: 'run.sh', change: 'changed' })),
    ],
    [
      'several sources: in a directory',
      (dir) => write(dir, { 'conf.d/one.conf': 'other' }),
      'COPY --chmod=644 run.sh conf.d /opt/',
      changed(files({ path: 'conf.d/one.conf', change: 'changed' })),
    ],
    [
      'hidden by .dockerignore',
      (dir) => write(dir, { '.dockerignore': 'ignored\nsrc/link\n' }),
      'COPY src ./src',
      changed(files({ path: 'src/link', change: 'removed' })),
    ],
    [
      'mounted by a RUN',
      (dir) => write(dir, { 'tool.txt': 'another tool' }),
      'RUN --mount=type=bind,source=tool.txt,target=/tool.txt,ro cat /tool.txt',
      changed(files({ path: 'tool.txt', change: 'changed' })),
      'miss: tool.txt changed',
    ],
    [
      'in an earlier stage',
      (dir) => write(dir, { 'in.txt': 'more in it' }),
      'COPY in.txt /',
      changed(files({ path: 'in.txt', change: 'changed' })),
      'miss: followed from COPY in.txt /: in.txt changed',
    ],
  ])('%s', async ([, edit, step, cause, says]) => {
    const explained = await edited(edit);
    expect(first(explained)).toEqual({ step, cause });
    expect(explained.compared).toMatchObject({ scope: 'main', inherited: true });
    if (says !== undefined) expect(explained.said).toContain(says);
  });

  it('with digests before and after', async () => {
    const explained = await edited((dir) => write(dir, { 'package.json': '{"version": 2}' }));
    const [file] = changesOf(first(explained).cause).flatMap((change) => (change.kind === 'files' ? change.files : []));
    expect(file?.old?.digest).toMatch(/^sha256:/);
    expect(file?.new?.digest).toMatch(/^sha256:/);
    expect(file?.old?.digest).not.toBe(file?.new?.digest);
  });

  it('twenty-five: the first twenty and a count', async () => {
    const many = Object.fromEntries(Array.from({ length: 25 }, (_, n) => [`src/many${n}`, `${n}`]));
    const explained = await edited((dir) => write(dir, many));
    expect(changesOf(first(explained).cause)).toEqual([
      expect.objectContaining({ kind: 'files', total: 25, files: expect.objectContaining({ length: 20 }) as unknown }),
    ]);
    expect(explained.said).toContain('(and 24 more files)');
  });

  it('whatever follows names the first cause', async () => {
    const { steps, causes } = await edited((dir) => write(dir, { 'src/a.ts': 'first cause' }));
    const followed = steps.filter(({ cause }) => cause?.kind === 'followed');
    expect(followed.length).toBeGreaterThan(3);
    expect(causes).toHaveLength(1);
    expect(causes[0]?.followed).toHaveLength(followed.length);
    for (const { cause } of followed)
      expect(cause).toMatchObject({ step: { name: expect.stringContaining('COPY src ./src') as unknown } });
  });
});

describe.concurrent('no miss', () => {
  it.for<readonly [string, (dir: string) => Promise<unknown>]>([
    ['a file that nothing takes', (dir) => write(dir, { 'README.md': 'other' })],
    ['a file that .dockerignore hides', (dir) => write(dir, { 'ignored/x': 'other' })],
    ['times alone', (dir) => utimes(join(dir, 'src/a.ts'), 1, 1)],
    [
      'the order in which files were made',
      async (dir) => {
        await rm(join(dir, 'src'), { recursive: true });
        await write(dir, { 'src/x/y/z.ts': 'z', 'src/b.ts': 'b', 'src/a.ts': 'a' });
        await symlink('a.ts', join(dir, 'src/link'));
      },
    ],
    ['owners alone', (dir) => lchown(join(dir, 'src/a.ts'), 1234, 1234)],
    ['LABEL', inDockerfile('LABEL a=1', 'LABEL a=2 b=3')],
    ['CMD', inDockerfile('CMD ["sh"]', 'CMD ["true"]\nEXPOSE 80')],
    ['a comment', inDockerfile('RUN echo two > /two', '# why\nRUN echo two > /two')],
    ['blanks around', inDockerfile('RUN echo two > /two', '  RUN   echo two > /two  ')],
    ['the name of a stage', inDockerfile('AS app', 'AS other')],
  ])('for %s', async ([, edit]) => {
    const { steps, causes } = await edited(edit);
    expect(causes).toEqual([]);
    expect(steps.map(({ state }) => state)).toEqual(steps.map(() => 'hit'));
    for (const { hit } of steps) if (hit !== null) expect(hit).toMatchObject({ scope: 'main', builderId: 'one' });
  });

  it('for --target', async () => {
    const { steps, causes } = await edited(nothing, '--target', 'made');
    expect(causes).toEqual([]);
    expect(steps.map(({ state }) => state)).toEqual(['hit', 'hit']);
  });
});

describe.concurrent('the Dockerfile', () => {
  it.for<Edit>([
    [
      'instruction',
      inDockerfile('RUN echo two > /two', 'RUN echo zwei > /two'),
      'RUN echo zwei > /two',
      changed(instruction('RUN echo two > /two', 'RUN echo zwei > /two')),
      'miss: instruction changed: RUN echo two > /two → RUN echo zwei > /two',
    ],
    [
      'blanks within a command',
      inDockerfile('RUN echo two > /two', 'RUN echo  two > /two'),
      'RUN echo  two > /two',
      changed(instruction('RUN echo two > /two', 'RUN echo  two > /two')),
    ],
    [
      'default of an ARG',
      inDockerfile('ARG VERSION=1.2', 'ARG VERSION=1.4'),
      'RUN echo one > /one',
      changed({ kind: 'variable', from: 'ARG', name: 'VERSION', old: '1.2', new: '1.4' }),
      'miss: ARG VERSION "1.2" → "1.4"',
    ],
    [
      'ENV',
      inDockerfile('MODE=dev', 'MODE=prod'),
      'RUN echo one > /one',
      changed({ kind: 'variable', from: 'ENV', name: 'MODE', old: 'dev', new: 'prod' }),
      'miss: ENV MODE "dev" → "prod"',
    ],
    [
      'ENV added',
      inDockerfile('MODE=dev', 'MODE=dev MORE=2'),
      'RUN echo one > /one',
      changed({ kind: 'variable', from: 'ENV', name: 'MORE', old: null, new: '2' }),
    ],
    [
      'ENV removed',
      inDockerfile(' EXTRA=1', ''),
      'RUN echo one > /one',
      changed({ kind: 'variable', from: 'ENV', name: 'EXTRA', old: '1', new: null }),
    ],
    [
      'order',
      inDockerfile('RUN echo one > /one\nRUN echo two > /two', 'RUN echo two > /two\nRUN echo one > /one'),
      'RUN echo two > /two',
      changed({ kind: 'order', old: 'RUN echo one > /one', new: 'WORKDIR /app', gone: false }),
    ],
    [
      'an instruction more',
      inDockerfile('RUN echo two > /two', 'RUN echo between\nRUN echo two > /two'),
      'RUN echo between',
      { kind: 'neverBuilt' },
    ],
    [
      'an instruction less',
      inDockerfile('COPY package.json ./\n', ''),
      'COPY src ./src',
      changed({ kind: 'order', old: 'COPY package.json ./', new: 'RUN echo two > /two', gone: true }),
      'COPY package.json ./, which came before it, is gone',
    ],
    [
      'USER',
      inDockerfile('USER 1000', 'USER 1001'),
      'RUN echo last',
      changed({ kind: 'setting', name: 'USER', old: '1000', new: '1001' }),
      'miss: USER "1000" → "1001"',
    ],
    [
      'WORKDIR',
      inDockerfile('WORKDIR /app', 'WORKDIR /srv'),
      'WORKDIR /srv',
      changed(instruction('WORKDIR /app', 'WORKDIR /srv')),
    ],
    [
      'SHELL',
      inDockerfile('USER 1000', 'USER 1000\nSHELL ["/bin/sh", "-ec"]'),
      'RUN echo last',
      changed({ kind: 'setting', name: 'SHELL', old: '["/bin/sh","-c"]', new: '["/bin/sh","-ec"]' }),
    ],
    [
      'options of a mount',
      inDockerfile(',ro cat', ',rw cat'),
      'RUN --mount=type=bind,source=tool.txt,target=/tool.txt,rw cat /tool.txt',
      changed(
        instruction(
          'RUN --mount=type=bind,source=tool.txt,target=/tool.txt,ro cat /tool.txt',
          'RUN --mount=type=bind,source=tool.txt,target=/tool.txt,rw cat /tool.txt',
        ),
      ),
    ],
    [
      'a cache mount',
      inDockerfile('RUN echo two', 'RUN --mount=type=cache,target=/c echo two'),
      'RUN --mount=type=cache,target=/c echo two > /two',
      changed(instruction('RUN echo two > /two', 'RUN --mount=type=cache,target=/c echo two > /two')),
    ],
    [
      'a new stage, and what takes of it',
      (dir) =>
        write(dir, {
          Dockerfile: withStage(DOCKERFILE.replace('COPY <<END', 'COPY --from=new /new /new\nCOPY <<END')),
        }),
      'RUN echo new > /new',
      { kind: 'neverBuilt' },
    ],
    [
      'id of a secret',
      inDockerfile('id=one', 'id=two'),
      'RUN --mount=type=secret,id=two true',
      changed(instruction('RUN --mount=type=secret,id=one true', 'RUN --mount=type=secret,id=two true')),
    ],
    [
      '--chmod',
      inDockerfile('--chmod=644', '--chmod=600'),
      'COPY --chmod=600 run.sh conf.d /opt/',
      changed(instruction('COPY --chmod=644 run.sh conf.d /opt/', 'COPY --chmod=600 run.sh conf.d /opt/')),
    ],
    [
      '--chown',
      inDockerfile('COPY package.json', 'COPY --chown=5 package.json'),
      'COPY --chown=5 package.json ./',
      changed(instruction('COPY package.json ./', 'COPY --chown=5 package.json ./')),
    ],
    [
      '--exclude',
      inDockerfile('COPY src', 'COPY --exclude=a.ts src'),
      'COPY --exclude=a.ts src ./src',
      changed(instruction('COPY src ./src', 'COPY --exclude=a.ts src ./src')),
    ],
    [
      '--link',
      inDockerfile('COPY package.json', 'COPY --link package.json'),
      'COPY --link package.json ./',
      changed(instruction('COPY package.json ./', 'COPY --link package.json ./')),
    ],
    [
      'another source',
      inDockerfile('COPY src ./src', 'COPY conf.d ./src'),
      'COPY conf.d ./src',
      changed(instruction('COPY src ./src', 'COPY conf.d ./src')),
    ],
    [
      '--from',
      inDockerfile('COPY --from=made /out.txt', 'COPY --from=made /in.txt'),
      'COPY --from=made /in.txt /out.txt',
      changed(instruction('COPY --from=made /out.txt /out.txt', 'COPY --from=made /in.txt /out.txt')),
    ],
    [
      'a here-document of RUN',
      inDockerfile('echo second', 'echo zweitens'),
      'RUN <<END',
      changed(instruction('echo second', 'echo zweitens')),
    ],
    [
      'a here-document of COPY',
      inDockerfile('line two', 'line 2'),
      'COPY <<END /doc',
      changed(instruction('line two', 'line 2')),
    ],
  ])('%s', async ([, edit, step, cause, says]) => {
    const explained = await edited(edit);
    expect(first(explained)).toEqual({ step: expect.stringContaining(step) as unknown, cause });
    if (says !== undefined) expect(explained.said).toContain(says);
  });

  it('and a file of the same step, both', async () => {
    const explained = await edited(async (dir) => {
      await inDockerfile('COPY package.json', 'COPY --chown=6 package.json')(dir);
      await write(dir, { 'package.json': '{"version": 3}' });
    });
    expect(first(explained).cause).toEqual(
      changed(instruction('COPY package.json ./', 'COPY --chown=6 package.json ./'), files({ path: 'package.json' })),
    );
  });

  it('and a file of a later step: each has its own cause, and the later one tells of the first', async () => {
    const explained = await edited(async (dir) => {
      await inDockerfile('RUN echo two > /two', 'RUN echo deux > /two')(dir);
      await write(dir, { 'src/a.ts': 'second edit' });
    });
    expect(explained.causes.map(({ step }) => step.name.replace(/^\[[^\]]*\] /, ''))).toEqual([
      'RUN echo deux > /two',
      'COPY src ./src',
    ]);
    expect(explained.causes[1]?.cause).toEqual(
      changed(files({ path: 'src/a.ts' }), { kind: 'step', step: expect.anything() as unknown }),
    );
  });
});

describe.concurrent('flags', () => {
  it.for<readonly [readonly string[], string, unknown]>([
    [
      ['--build-arg', 'VERSION=1.3'],
      'RUN echo one > /one',
      { kind: 'variable', from: 'ARG', name: 'VERSION', old: '1.2', new: '1.3' },
    ],
    [['--network', 'none'], 'RUN wc -c', { kind: 'setting', name: '--network', old: 'default', new: 'none' }],
    [
      ['--add-host', 'db:10.0.0.5'],
      'RUN wc -c',
      { kind: 'setting', name: '--add-host', old: null, new: '[{"address":"10.0.0.5","name":"db"}]' },
    ],
    [['--shm-size', '32m'], 'RUN wc -c', { kind: 'setting', name: '--shm-size', old: null, new: '33554432' }],
    [['--memory', '512m'], 'RUN wc -c', { kind: 'setting', name: '--memory', old: null, new: '536870912' }],
  ])('%s', async ([args, step, change]) => {
    const explained = await edited(nothing, ...args);
    expect(first(explained)).toEqual({ step: expect.stringContaining(step) as unknown, cause: changed(change) });
  });

  it('a secret by its name: that it changed, not what it is', async () => {
    const explained = await edited(nothing, '--build-arg', 'API_TOKEN=hunter2-hunter2');
    expect(first(explained).cause).toEqual(
      changed({ kind: 'variable', from: 'ARG', name: 'API_TOKEN', old: '***', new: '***' }),
    );
    expect(JSON.stringify(explained.causes)).not.toContain('hunter2');
    expect(explained.said).toContain('ARG API_TOKEN "***" → "***"');
  });

  it('a value that is a secret of the build', async () => {
    const dir = await shop.copyOf('base', base);
    await write(dir, { '../unused': '', secret: 'correct-horse' });
    const args = ['--build-arg', 'VERSION=correct-horse', '--secret', `id=one,src=${join(dir, 'secret')}`];
    const explained = await shop.build(dir, await shop.branch(), ...args);
    expect(first(explained).cause).toEqual(
      changed({ kind: 'variable', from: 'ARG', name: 'VERSION', old: '1.2', new: '***' }),
    );
  });

  it('a secret whose value counts', async () => {
    const make = (): Promise<string> =>
      shop.folder({
        Dockerfile: 'FROM box:1\nRUN --mount=type=secret,id=index echo counts\n',
        old: 'horse-one',
        now: 'horse-two',
      });
    const file = join(await make(), 'old');
    const dir = await shop.copyOf('keyed', make, '--secret', `id=index,src=${file},keyed`);
    const explained = await shop.build(dir, await shop.branch(), '--secret', `id=index,src=${join(dir, 'now')},keyed`);
    expect(first(explained).cause).toEqual(
      changed({ kind: 'setting', name: 'value of secret index', old: '***', new: '***' }),
    );
    expect(explained.said).toContain('miss: value of secret index "***" → "***"');
  });

  it('a time to live that has ended', async () => {
    const of = (ttl: string): string => `FROM box:1\n# kiln:ttl=${ttl}\nRUN echo index\nRUN echo uses it\n`;
    const dir = await shop.copyOf('ttl', () => shop.folder({ Dockerfile: of('24h') }));
    await write(dir, { Dockerfile: of('1ms') });
    const explained = await shop.build(dir, await shop.branch());
    expect(first(explained)).toMatchObject({ step: 'RUN echo index', cause: { kind: 'expired' } });
  });

  it('--no-cache', async () => {
    const explained = await edited(nothing, '--no-cache');
    expect(first(explained).cause).toEqual({ kind: 'noCache', flag: '--no-cache', stage: 'made' });
    expect(explained.said).toContain('miss: --no-cache');
  });

  it('--no-cache-filter', async () => {
    const explained = await edited(nothing, '--no-cache-filter', 'app');
    expect(first(explained)).toMatchObject({ cause: { kind: 'noCache', flag: '--no-cache-filter', stage: 'app' } });
    expect(explained.steps.find(({ name }) => name.includes('in.txt'))?.state).toBe('hit');
  });

  it('--platform', async () => {
    const make = (): Promise<string> =>
      shop.folder({ Dockerfile: 'FROM scratch\nCOPY platform.txt /\n', 'platform.txt': 'p' });
    const dir = await shop.copyOf('platform', make, '--platform', 'linux/amd64');
    const explained = await shop.build(dir, await shop.branch(), '--platform', 'linux/arm64');
    expect(first(explained).cause).toEqual(
      changed({ kind: 'setting', name: 'platform', old: 'linux/amd64', new: 'linux/arm64' }),
    );
  });

  it('--build-context', async () => {
    const lib = await shop.folder({ 'lib.txt': 'one' });
    const make = (): Promise<string> => shop.folder({ Dockerfile: 'FROM box:1\nCOPY --from=lib lib.txt /\n' });
    const dir = await shop.copyOf('named', make, '--build-context', `lib=${lib}`);
    await write(lib, { 'lib.txt': 'two' });
    const explained = await shop.build(dir, await shop.branch(), '--build-context', `lib=${lib}`);
    expect(first(explained).cause).toMatchObject(
      changed({ kind: 'files', source: 'lib', total: 1, files: [{ path: 'lib.txt', change: 'changed' }] }) as object,
    );
    expect(explained.said).toContain('miss: lib.txt changed of lib');
  });
});

describe.concurrent('what comes from elsewhere', () => {
  it('a base image that moved', async () => {
    const name = `${farm.registry.host}/acme/moving:1`;
    const push = async (text: string): Promise<void> => {
      await farm.build(
        await shop.folder({ Dockerfile: `FROM box:1\nRUN echo ${text} > /moved\n` }),
        '-t',
        name,
        '--push',
      );
    };
    await push('one');
    const make = (): Promise<string> => shop.folder({ Dockerfile: `FROM ${name}\nRUN cat /moved\nRUN echo on it\n` });
    const dir = await shop.copyOf('moving', make);
    await push('two');
    const explained = await shop.build(dir, await shop.branch(), '--pull');
    const { step, cause } = first(explained);
    expect({ step, cause }).toEqual({
      step: 'RUN cat /moved',
      cause: changed({
        kind: 'image',
        oldName: name,
        newName: name,
        old: expect.stringMatching(/^sha256:/) as unknown,
        new: expect.stringMatching(/^sha256:/) as unknown,
      }),
    });
    expect(explained.causes[0]?.followed).toHaveLength(1);
    expect(explained.said).toMatch(/miss: \S+moving:1 moved sha256:[0-9a-f]{12}… → sha256:/);
    expect(explained.hints[0]?.text).toContain('moves with its tag');
  });

  it('another tag of the base image', async () => {
    const name = `${farm.registry.host}/acme/tags`;
    const base = await shop.folder({ Dockerfile: 'FROM box:1\nRUN echo tags > /tags\n' });
    await farm.build(base, '-t', `${name}:1`, '--push');
    await write(base, { Dockerfile: 'FROM box:1\nRUN echo more > /tags\n' });
    await farm.build(base, '-t', `${name}:2`, '--push');
    const of = (tag: number): Record<string, string> => ({ Dockerfile: `FROM ${name}:${tag}\nRUN cat /tags\n` });
    const dir = await shop.copyOf('tags', () => shop.folder(of(1)));
    await write(dir, of(2));
    expect(first(await shop.build(dir, await shop.branch())).cause).toMatchObject(
      changed({ kind: 'image', oldName: `${name}:1`, newName: `${name}:2` }) as object,
    );
  });

  it('ONBUILD of a base image', async () => {
    const name = `${farm.registry.host}/acme/onbuild:1`;
    const push = async (text: string): Promise<void> => {
      const dir = await shop.folder({ Dockerfile: `FROM box:1\nONBUILD RUN echo ${text}\n` });
      await farm.build(dir, '-t', name, '--push');
    };
    await push('one');
    const dir = await shop.copyOf('onbuild', () => shop.folder({ Dockerfile: `FROM ${name}\nRUN echo on it\n` }));
    await push('two');
    const { step, cause } = first(await shop.build(dir, await shop.branch(), '--pull'));
    expect(step).toContain('RUN echo two');
    expect(changesOf(cause)).toContainEqual(
      expect.objectContaining({
        kind: 'instruction',
        old: expect.stringContaining('RUN echo one') as unknown,
        new: expect.stringContaining('RUN echo two') as unknown,
      }),
    );
  });

  it('another base image', async () => {
    const make = (): Promise<string> => shop.folder({ Dockerfile: 'FROM box:1\nRUN echo onto\n' });
    const dir = await shop.copyOf('onto', make);
    const name = `${farm.registry.host}/acme/other:1`;
    await farm.build(await shop.folder({ Dockerfile: 'FROM box:1\nRUN echo > /other\n' }), '-t', name, '--push');
    await write(dir, { Dockerfile: `FROM ${name}\nRUN echo onto\n` });
    expect(first(await shop.build(dir, await shop.branch())).cause).toMatchObject(
      changed({ kind: 'image', oldName: 'box:1', newName: name }) as object,
    );
  });

  it('a file by URL', async () => {
    web.files.set('/explained.txt', { body: 'one' });
    const make = (): Promise<string> => shop.folder({ Dockerfile: `FROM box:1\nADD ${web.url('/explained.txt')} /\n` });
    const dir = await shop.copyOf('url', make);
    web.files.set('/explained.txt', { body: 'two' });
    expect(first(await shop.build(dir, await shop.branch())).cause).toMatchObject(
      changed({
        kind: 'files',
        source: web.url('/explained.txt'),
        files: [{ path: 'explained.txt', what: ['content'] }],
      }) as object,
    );
  });

  it('a file by URL with credentials, which are not told', async () => {
    web.files.set('/private.txt', { body: 'one' });
    const url = web.url('/private.txt').replace('//', '//user:hunter2-hunter2@');
    const make = (): Promise<string> => shop.folder({ Dockerfile: `FROM box:1\nADD ${url} /\n` });
    const dir = await shop.copyOf('private', make);
    web.files.set('/private.txt', { body: 'two' });
    const explained = await shop.build(dir, await shop.branch());
    expect(first(explained).cause).toMatchObject(
      changed({ kind: 'files', source: web.url('/private.txt'), total: 1 }) as object,
    );
    expect(JSON.stringify(explained)).not.toContain('hunter2');
  });

  it('a repository', async () => {
    const old = await git.commit('explained', { a: 'one' });
    const make = (): Promise<string> =>
      shop.folder({ Dockerfile: `FROM box:1\nADD ${git.url('explained')}#main /src\n` });
    const dir = await shop.copyOf('git', make);
    const now = await git.commit('explained', { a: 'two' });
    expect(first(await shop.build(dir, await shop.branch())).cause).toMatchObject(
      changed({ kind: 'commit', old, new: now }) as object,
    );
  });
});

describe.concurrent('records that cannot be used', () => {
  const lone = (text: string): Promise<string> =>
    shop.folder({ Dockerfile: `FROM box:1\nRUN echo ${text} > /a\nRUN echo ${text} > /b\n` });

  it('evicted', async () => {
    const dir = await lone('evicted');
    const token = await shop.token('evicted');
    const { buildId } = await shop.build(dir, token);
    await farm.db.execute(
      `WITH gone AS (DELETE FROM results WHERE producer_build = $1 RETURNING project_id, scope_id, id)
       INSERT INTO record_tombstones (project_id, scope_id, key, op, reason, detail)
       SELECT r.project_id, r.scope_id, r.key, r.op, 'evicted', 'over its quota' FROM records r JOIN gone g
         ON g.project_id = r.project_id AND g.scope_id = r.scope_id AND g.id = r.result_id`,
      [buildId],
    );
    const explained = await shop.build(dir, token);
    expect(first(explained).cause).toMatchObject({ kind: 'gone', reason: 'evicted', detail: 'over its quota' });
    expect(explained.said).toMatch(/miss: evicted from the cache \d{4}-\d\d-\d\d \d\d:\d\d UTC: over its quota/);
  });

  it('lost', async () => {
    const dir = await lone('lost');
    const token = await shop.token('lost');
    const { buildId } = await shop.build(dir, token);
    const rows = await farm.db.query(
      z.object({ digest: z.string() }),
      "SELECT layers->-1->'descriptor'->>'digest' AS digest FROM results WHERE producer_build = $1",
      [buildId],
    );
    for (const { digest } of rows) {
      const hex = digest.slice('sha256:'.length);
      await rm(join(farm.dir, 'content/sha256', hex.slice(0, 2), hex));
    }
    expect(first(await shop.build(dir, token)).cause).toMatchObject({ kind: 'gone', reason: 'lost' });
  });

  it('of another scope, of which nothing is told', async () => {
    const dir = await lone('elsewhere');
    await shop.build(dir, await shop.token('somebody-elses'));
    const explained = await shop.build(dir, await shop.branch());
    expect(first(explained).cause).toEqual({ kind: 'scope' });
    expect(JSON.stringify(explained)).not.toContain('somebody-elses');
  });

  it('never there', async () => {
    const explained = await shop.build(await lone('new'), await shop.token('main', undefined, 'fresh'));
    expect(first(explained).cause).toEqual({ kind: 'neverBuilt' });
    expect(explained.compared).toBeNull();
  });

  it('never finished', async () => {
    const dir = await shop.folder({ Dockerfile: 'FROM box:1\nRUN echo begun\nRUN echo failing; exit 3\n' });
    const token = await shop.token('failing');
    const failed = await shop.build(dir, token);
    expect(failed.code).toBe(1);
    const again = await shop.build(dir, token);
    expect(first(again)).toEqual({
      step: 'RUN echo failing; exit 3',
      cause: { kind: 'unfinished', buildId: failed.buildId },
    });
  });
});

describe('the nearest build', () => {
  it('is of the own scope before one that it inherits, whatever is newer', async () => {
    const token = await shop.token('own-first', 'main');
    const dir = await shop.copyOf('base', base);
    await write(dir, { 'src/a.ts': 'of the branch' });
    const own = await shop.build(dir, token);
    await farm.build(await shop.copyOf('base', base));
    await write(dir, { 'src/b.ts': 'of the branch, too' });
    const again = await shop.build(dir, token);
    expect(again.compared).toMatchObject({ buildId: own.buildId, inherited: false });
    expect(first(again).cause).toEqual(changed(files({ path: 'src/b.ts' })));
  });
});

describe('kiln explain', () => {
  it('tells the first cause on top, what followed with it, and every step', async () => {
    const token = await shop.branch();
    const dir = await shop.copyOf('base', base);
    await write(dir, { 'src/a.ts': 'shown', 'src/new.ts': 'shown' });
    const { buildId } = await shop.build(dir, token);
    const { code, stdout } = await farm.cli(['explain', buildId], { env: { KILN_TOKEN: token } }).ended;
    expect(code).toBe(0);
    const [head = '', compared = '', blank, cause = '', ...rest] = stdout.split('\n');
    expect(head).toMatch(
      new RegExp(`^ ${buildId} · edit-\\d+ · succeeded · \\d of \\d+ steps from the cache · .* spent on what missed$`),
    );
    expect(compared).toMatch(/^ compared with \w+ \(main, which edit-\d+ inherits, /);
    expect(blank).toBe('');
    expect(cause).toContain('COPY src ./src');
    expect(rest[0]).toBe('      2 files changed');
    expect(rest[1]).toMatch(/^ {8}~ src\/a\.ts {4}[0-9a-f]{12}… → [0-9a-f]{12}…$/);
    expect(rest[2]).toMatch(/^ {8}\+ src\/new\.ts {2}[0-9a-f]{12}…$/);
    expect(rest[3]).toMatch(/^ {6}followed: app 7\/\d+, /);
    expect(stdout).toMatch(/RUN echo last +miss +\S+ +followed from app 6\//);
    expect(stdout).toMatch(/RUN echo one > \/one +hit +saved \S+ +definition key, built by \w+ \(main\) on one/);
    const json = await farm.cli(['explain', buildId, '--json'], { env: { KILN_TOKEN: token } }).ended;
    expect(JSON.parse(json.stdout)).toMatchObject({ buildId, causes: [{ followed: expect.any(Array) as unknown }] });
  });

  it('of a build that is not there', async () => {
    const { code, stderr } = await farm.cli(['explain', 'nosuchbuild']).ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'there is no build nosuchbuild\nkiln builds lists those of the project\n',
    });
  });

  it('hints at what to do', async () => {
    const token = await shop.token('hinted', 'main');
    const npm = `RUN printf '#!/bin/sh\\necho installed\\n' > /bin/npm && chmod 755 /bin/npm`;
    const dockerfile = `FROM box:1\n${npm}\nCOPY . /app\nRUN npm ci\n`;
    const dir = await shop.folder({ Dockerfile: dockerfile, 'index.js': '1', 'package.json': '{}' });
    await shop.build(dir, token);
    await write(dir, { 'index.js': '2' });
    const { hints } = await shop.build(dir, token);
    const text =
      'copy package.json and package-lock.json before RUN npm ci, and the rest (COPY . /app) after it; what else it reads (settings, workspaces, its scripts) goes along';
    const lines = ['COPY package.json package-lock.json /app/', 'RUN npm ci', 'COPY . /app'];
    expect(hints).toEqual([{ text, snippet: { file: 'Dockerfile', lines } }]);
  });
});

function changesOf(cause: OwnCause): readonly MissChange[] {
  return cause.kind === 'changed' ? cause.changes : [];
}
