import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type NewScope, Permission, ProjectStore, TokenStore } from '#storage';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Farm, type RunningCli } from './farm.ts';

/** What a step's key does not hold, so that two builds with the same keys make different things: poison. */
const GOOD = 'good';
const POISON = 'poison';

let farm: Farm;
const tokens = new Map<string, string>();
beforeAll(async () => {
  farm = await Farm.start();
  await token('main', {});
  await token('branch', { parent: 'main', trust: 'branch' });
  await token('fork', { parent: 'main', trust: 'fork' });
});
afterAll(() => farm[Symbol.asyncDispose]());
afterEach(({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(farm.logs());
});

async function token(scope: string, options: NewScope, project = 'default'): Promise<void> {
  const ids = await new ProjectStore(farm.db).ensure(project, scope, options);
  const made = await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options });
  tokens.set(project === 'default' ? scope : `${project}/${scope}`, made);
}

/** A Dockerfile of its own keys. */
async function folder(...steps: readonly string[]): Promise<string> {
  const dir = await farm.folder();
  const lines = ['FROM box:1', `ENV CASE=${dir}`, ...steps, ''];
  await writeFile(join(dir, 'Dockerfile'), lines.join('\n'));
  return dir;
}

interface Asked {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function asked(dir: string, scope: string, ...args: readonly string[]): Asked {
  const what = scope.endsWith('fork') ? POISON : GOOD;
  const out = join(dir, `out-${scope.replace('/', '-')}`);
  return {
    args: [dir, '--progress=plain', '--secret', 'id=what,env=WHAT', '-o', out, ...args],
    env: { KILN_TOKEN: tokens.get(scope) ?? '', WHAT: what },
  };
}

function start(...of: Parameters<typeof asked>): RunningCli {
  const { args, env } = asked(...of);
  return farm.cli(['build', ...args], { env });
}

/** @returns what is in the image's file `/made` */
async function build(dir: string, scope: string, ...args: readonly string[]): Promise<string> {
  const { args: all, env } = asked(dir, scope, ...args);
  const { code, stdout, stderr } = await farm.kilnBuild(all, { env });
  expect(code, stdout + stderr).toBe(0);
  return await made(dir, scope);
}

const made = (dir: string, scope: string): Promise<string> =>
  readFile(join(dir, `out-${scope.replace('/', '-')}`, 'made'), 'utf8');

const secretly = (command: string): string => `RUN --mount=type=secret,id=what ${command}`;
const poisonable = secretly('cat /run/secrets/what > /made');

describe('a step that a fork has poisoned, under the same key', () => {
  it('is never the branch’s: the fork was first', async () => {
    const dir = await folder(poisonable);
    expect(await build(dir, 'fork')).toBe(POISON);
    expect(await build(dir, 'main')).toBe(GOOD);
    expect(await build(dir, 'branch')).toBe(GOOD);
    // What the fork made stays its own; nobody else sees it later either.
    expect(await build(dir, 'fork')).toBe(POISON);
    expect(await build(dir, 'main')).toBe(GOOD);
  });

  it('is never the branch’s: the branch was first, and the fork took no cache', async () => {
    const dir = await folder(poisonable);
    expect(await build(dir, 'main')).toBe(GOOD);
    expect(await build(dir, 'fork')).toBe(GOOD);
    expect(await build(dir, 'fork', '--no-cache')).toBe(POISON);
    expect(await build(dir, 'main')).toBe(GOOD);
    expect(await build(dir, 'main', '--no-cache')).toBe(GOOD);
    expect(await build(dir, 'branch')).toBe(GOOD);
  });

  it('is never the branch’s: both at once', async () => {
    const dir = await folder(secretly('echo begun; sleep 2; cat /run/secrets/what > /made'));
    const fork = start(dir, 'fork');
    for (let tries = 0; !/ begun$/m.test(fork.seen()); tries++) {
      if (tries > 1_000) throw new Error(fork.seen());
      await delay(20);
    }
    const main = start(dir, 'main');
    for (const each of [fork, main]) {
      const { code, stdout, stderr } = await each.ended;
      expect(code, stdout + stderr).toBe(0);
    }
    expect(await made(dir, 'fork')).toBe(POISON);
    expect(await made(dir, 'main')).toBe(GOOD);
    expect(await build(dir, 'main')).toBe(GOOD);
  });

  it('is never the branch’s by its content, below a step that ran again and made the same', async () => {
    const dir = await folder('RUN echo same > /below', poisonable);
    expect(await build(dir, 'fork')).toBe(POISON);
    const other = await folder('RUN echo same > /below', poisonable);
    const text = await readFile(join(dir, 'Dockerfile'), 'utf8');
    await writeFile(join(other, 'Dockerfile'), text.replace('echo same', 'echo  same'));
    expect(await build(other, 'fork')).toBe(POISON);
    expect(await build(other, 'main')).toBe(GOOD);
    expect(await build(dir, 'main')).toBe(GOOD);
  });

  it('is nobody’s who stands on it: what the fork’s later steps made stays there too', async () => {
    const dir = await folder(poisonable, 'RUN cp /made /copy && cp /copy /made');
    expect(await build(dir, 'fork')).toBe(POISON);
    expect(await build(dir, 'main')).toBe(GOOD);
  });

  it('fails nobody else’s build', async () => {
    const dir = await folder(secretly(`grep -q ${GOOD} /run/secrets/what && echo -n ${GOOD} > /made`));
    expect((await start(dir, 'fork').ended).code).toBe(1);
    expect(await build(dir, 'main')).toBe(GOOD);
  });

  it('leaves nothing in a cache mount of the branch’s', async () => {
    const mount = 'RUN --mount=type=cache,id=tools,target=/tools';
    const dir = await folder(
      `${mount} --mount=type=secret,id=what test -e /tools/what || cp /run/secrets/what /tools/what; cat /tools/what > /made`,
    );
    expect(await build(dir, 'fork', '--no-cache')).toBe(POISON);
    expect(await build(dir, 'main', '--no-cache')).toBe(GOOD);
    expect(await build(dir, 'fork', '--no-cache')).toBe(POISON);
  });
});

describe('another project', () => {
  it('gets what is shared with it, says from where, and never gives', async () => {
    await token('main', {}, 'other');
    await token('fork', { trust: 'fork' }, 'other');
    const dir = await folder('RUN echo -n first > /made && head -c 16 /dev/urandom | sha256sum >> /made');
    const first = await build(dir, 'main');
    expect(await build(dir, 'other/main')).not.toBe(first);

    const next = await folder('RUN echo -n second > /made && head -c 16 /dev/urandom | sha256sum >> /made');
    const second = await build(next, 'main');
    const projects = new ProjectStore(farm.db);
    await projects.share({ project: 'default', scope: 'main', reader: 'other' });
    const { code, stdout, stderr } = await start(next, 'other/main').ended;
    expect(code, stdout + stderr).toBe(0);
    expect(stdout + stderr).toContain('on default/main)');
    expect(await made(next, 'other/main')).toBe(second);

    // Trusted less than the branch that wants it.
    await projects.share({ project: 'other', scope: 'fork', reader: 'default' });
    const last = await folder(poisonable);
    expect(await build(last, 'other/fork')).toBe(POISON);
    expect(await build(last, 'main')).toBe(GOOD);
  });
});
