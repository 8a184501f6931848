import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GitServer, WebServer } from '#testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { pushBaseImage } from './base-image.ts';
import { write } from './context.ts';
import { Farm, type RunningCli } from './farm.ts';
import { foreignBusyBox } from './foreign-busybox.ts';

const run = promisify(execFile);
const Index = z.object({
  mediaType: z.string(),
  manifests: z.array(z.object({ digest: z.string(), platform: z.object({ architecture: z.string() }) })),
});

let farm: Farm;
let git: GitServer;
let web: WebServer;
beforeAll(async () => {
  git = await GitServer.start();
  web = await WebServer.start();
  farm = await Farm.start({ egressAllow: [git.host, web.host] });
  const own = { platform: { os: 'linux', architecture: 'amd64' }, program: '/bin/busybox' };
  await pushBaseImage(`${farm.mirror.host}/library/boxes:1`, [own, await foreignBusyBox('arm64')]);
}, 120_000);
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await git[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(farm.logs());
});

/** A context of this Dockerfile and these files. */
async function context(dockerfile: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile, ...files });
  return dir;
}

/** The program of another architecture with bytes that no image has yet. */
async function unseen(): Promise<string> {
  const program = join(await farm.folder(), 'busybox');
  await writeFile(program, Buffer.concat([await readFile((await foreignBusyBox('arm64')).program), randomBytes(64)]));
  await chmod(program, 0o755);
  return program;
}

const name = (tag: string): string => `${farm.registry.host}/platforms:${tag}`;

/** A file of the image for one architecture. */
async function fileOf(tag: string, architecture: string, path: string): Promise<string> {
  const dir = await farm.folder();
  const layout = join(dir, 'layout');
  const from = ['copy', '--src-tls-verify=false', `--override-arch=${architecture}`, `docker://${name(tag)}`];
  await run('skopeo', [...from, `oci:${layout}:latest`]);
  await run('umoci', ['unpack', '--image', `${layout}:latest`, join(dir, 'bundle')]);
  const { stdout } = await run('cat', [join(dir, 'bundle/rootfs', path)]);
  return stdout;
}

async function indexOf(tag: string): Promise<z.infer<typeof Index>> {
  const { stdout } = await run('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name(tag)}`]);
  return Index.parse(JSON.parse(stdout));
}

describe('a build for several platforms', () => {
  it('runs each under its own architecture, and gives one index', async () => {
    const dir = await context(
      'FROM boxes:1\nARG TARGETPLATFORM\nRUN uname -m > /machine && echo $TARGETPLATFORM > /target\n',
    );
    const built = await farm.build(dir, '--platform', 'linux/amd64,linux/arm64', '-t', name('uname'), '--push');
    expect(built['kiln.build'].steps).toEqual({ total: 2, hit: 0, run: 2, joined: 0 });
    expect(built.progress).toContain('[linux/arm64 2/2] RUN uname -m');
    const index = await indexOf('uname');
    expect(index.manifests.map(({ platform }) => platform.architecture)).toEqual(['amd64', 'arm64']);
    expect(await fileOf('uname', 'amd64', 'machine')).toBe('x86_64\n');
    expect(await fileOf('uname', 'arm64', 'machine')).toBe('aarch64\n');
    expect(await fileOf('uname', 'arm64', 'target')).toBe('linux/arm64\n');
    const again = await farm.build(dir, '--platform=linux/arm64', '--platform', 'amd64', '-t', name('again'), '--push');
    expect(again['kiln.build'].steps).toEqual({ total: 2, hit: 2, run: 0, joined: 0 });
    expect((await indexOf('again')).manifests.map(({ platform }) => platform.architecture)).toEqual(['arm64', 'amd64']);
  });

  it('runs a stage for the build platform once, and what cross-compiles once for each target', async () => {
    const dir = await context(
      [
        'FROM --platform=$BUILDPLATFORM boxes:1 AS tools',
        'RUN echo tools > /tools',
        'FROM --platform=$BUILDPLATFORM tools AS compile',
        'ARG TARGETARCH',
        'RUN uname -m > /out && echo $TARGETARCH >> /out',
        'FROM boxes:1',
        'COPY --from=compile /out /out',
        'COPY --from=tools /tools /tools',
      ].join('\n'),
    );
    const built = await farm.build(dir, '--platform', 'linux/amd64,linux/arm64', '-t', name('cross'), '--push');
    // tools once; compile, and two copies, for each.
    expect(built['kiln.build'].steps).toEqual({ total: 7, hit: 0, run: 7, joined: 0 });
    expect(built.progress).toContain('[linux/amd64->arm64 compile 1/1] RUN uname -m');
    expect(built.progress.match(/RUN echo tools > .tools\n/g)).toHaveLength(1);
    expect(await fileOf('cross', 'arm64', 'out')).toBe('x86_64\narm64\n');
    expect(await fileOf('cross', 'amd64', 'out')).toBe('x86_64\namd64\n');
  });

  it('needs nobody to run what only copies', async () => {
    const dir = await context('FROM scratch\nCOPY Dockerfile /a\nWORKDIR /b\n');
    const built = await farm.build(dir, '--platform', 'linux/s390x,linux/alpha', '-t', name('copies'), '--push');
    expect(built['kiln.build'].steps.run).toBe(4);
    expect((await indexOf('copies')).manifests.map(({ platform }) => platform.architecture)).toEqual([
      's390x',
      'alpha',
    ]);
  });

  it('refuses by name, before anything runs, what nobody can run', async () => {
    const dir = await context('FROM box:1\nRUN sleep 30\nFROM scratch\nCOPY --from=0 /bin/busybox /sh\nRUN ["/sh"]\n');
    const { code, stderr } = await farm.cli(['build', dir, '--platform', 'linux/alpha,linux/amd64']).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/no builder can run linux\/alpha: builders run linux\/amd64, .*linux\/arm64/);
    expect(stderr).toContain('install qemu-user-static on a builder, or add a node of that architecture');
    expect(stderr).not.toMatch(/DONE 30/);
  });

  it('refuses what is no platform', async () => {
    const dir = await context('FROM scratch\n');
    const { code, stderr } = await farm.cli(['build', dir, '--platform', 'linux/amd64,linux//']).ended;
    expect(code).toBe(2);
    expect(stderr).toContain('not a platform');
  });
});

describe('a builder of another architecture', () => {
  const Owned = z.object({ owner: z.string().nullable(), part_platform: z.string(), state: z.string() });
  const parts = (since: string): Promise<readonly z.infer<typeof Owned>[]> =>
    farm.db.query(Owned, 'SELECT owner, part_platform, state FROM builds WHERE parent_id = $1 ORDER BY created_at', [
      since,
    ]);

  beforeAll(() => farm.startBuilder('arm', { KILN_BUILDER_PLATFORMS: 'linux/arm64', KILN_BUILDER_CONCURRENCY: '1' }));

  it('gets the steps of that architecture, and what both need runs once', async () => {
    const dir = await context(
      [
        'FROM --platform=$BUILDPLATFORM boxes:1 AS tools',
        'RUN echo $(uname -m) tools > /tools; sleep 1',
        'FROM boxes:1',
        'RUN echo first $(uname -m) > /machine',
        'COPY --from=tools /tools /tools',
        'RUN cat /tools /machine > /all',
        'RUN echo last line of $(uname -m)',
        'COPY Dockerfile /end',
      ].join('\n'),
    );
    const args = ['--platform', 'linux/amd64,linux/arm64', '-t', name('farm'), '--push'];
    const built = await farm.build(dir, ...args);
    expect(built['kiln.build'].steps).toEqual({ total: 11, hit: 0, run: 11, joined: 0 });
    expect(await fileOf('farm', 'arm64', 'all')).toBe('x86_64 tools\nfirst aarch64\n');
    expect(await fileOf('farm', 'amd64', 'all')).toBe('x86_64 tools\nfirst x86_64\n');
    expect(built.progress).toContain('last line of aarch64');
    const of = await parts(built['kiln.build'].id);
    expect(of.length).toBeGreaterThan(0);
    expect(
      of.every(
        ({ part_platform: platform, owner, state }) =>
          owner === (platform === 'linux/arm64' ? 'arm' : 'one') && state === 'succeeded',
      ),
    ).toBe(true);
    const again = await farm.build(dir, ...args);
    expect(again['kiln.build'].steps).toEqual({ total: 11, hit: 11, run: 0, joined: 0 });
    expect(again['containerimage.digest']).toBe(built['containerimage.digest']);
    expect(await parts(again['kiln.build'].id)).toEqual([]);
    // Parts are nobody's builds: what they made is their build's.
    const producers = await farm.db.query(
      z.object({ build: z.string() }),
      "SELECT DISTINCT hit->>'buildId' AS build FROM steps WHERE build_id = $1 AND step",
      [again['kiln.build'].id],
    );
    expect(producers).toEqual([{ build: built['kiln.build'].id }]);
    const anew = await farm.build(dir, ...args, '--no-cache');
    expect(anew['kiln.build'].steps).toEqual({ total: 11, hit: 0, run: 11, joined: 0 });
    const { stdout } = await farm.cli(['builds', '--json']).ended;
    for (const { part_platform: platform } of of) expect(stdout).not.toContain(`"platforms":["${platform}"]`);
  });

  it('sees what the build saw, and asks nobody, whatever has changed since', async () => {
    git.authorization = `basic ${Buffer.from('x-access-token:t0ken').toString('base64')}`;
    const change = async (version: string): Promise<void> => {
      await git.commit('lib', { a: `lib ${version}\n` });
      for (const path of ['/below', '/above']) web.files.set(path, { body: `${path} ${version}\n` });
    };
    const dockerfile = [
      'FROM --platform=$BUILDPLATFORM boxes:1 AS tools',
      `ADD ${web.url('/below')} /below`,
      'RUN echo changing; sleep 4',
      'FROM boxes:1',
      'COPY --from=tools /below /below',
      'RUN --mount=target=/context cp /context/kept /mounted',
      'COPY kept /kept',
      `ADD ${web.url('/above')} /above`,
      `ADD ${git.url('lib')} /lib`,
      'RUN uname -m | cat - /below /mounted /kept /above /lib/a > /all',
    ].join('\n');
    await change('one');
    await git.commit('main', { Dockerfile: dockerfile, kept: 'kept one\n' });
    const { ended, seen } = farm.cli(
      [
        ...['build', git.url('main'), '--platform', 'linux/amd64,linux/arm64', '--progress=plain'],
        ...['-t', name('pinned'), '--push', '--secret', 'id=GIT_AUTH_TOKEN'],
      ],
      { env: { GIT_AUTH_TOKEN: 't0ken' } },
    );
    await expect.poll(seen, { timeout: 30_000 }).toMatch(/^#\d+ [\d.]+ changing$/m);
    await change('two');
    await git.commit('main', { kept: 'kept two\n' });
    const asked = [git.seen.length, web.seen.length];
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(0);
    expect([git.seen.length, web.seen.length]).toEqual(asked);
    const files = '/below one\nkept one\nkept one\n/above one\nlib one\n';
    expect(await fileOf('pinned', 'arm64', 'all')).toBe(`aarch64\n${files}`);
    expect(await fileOf('pinned', 'amd64', 'all')).toBe(`x86_64\n${files}`);
  });

  it('stands on linked copies', async () => {
    const dockerfile = [
      'FROM boxes:1',
      'COPY --link a /a',
      'RUN cp /a /copied',
      'COPY --link b /b',
      'RUN uname -m | cat - /a /b /copied > /all',
    ].join('\n');
    const args = ['--platform', 'linux/amd64,linux/arm64', '-t', name('linked'), '--push'];
    const first = await farm.build(await context(dockerfile, { a: 'a\n', b: 'b\n' }), ...args);
    expect(first['kiln.build'].steps).toMatchObject({ hit: 0, total: first['kiln.build'].steps.run });
    expect(await fileOf('linked', 'arm64', 'all')).toBe('aarch64\na\nb\na\n');
    const second = await farm.build(await context(dockerfile, { a: 'a\n', b: 'c\n' }), ...args);
    // The copy of b, and what stands on it.
    expect(second['kiln.build'].steps.total - second['kiln.build'].steps.hit).toBe(second['kiln.build'].steps.run);
    expect(second['kiln.build'].steps.run).toBeLessThanOrEqual(4);
    expect(await fileOf('linked', 'arm64', 'all')).toBe('aarch64\na\nc\na\n');
    expect(await fileOf('linked', 'amd64', 'all')).toBe('x86_64\na\nc\na\n');
  });

  it('has what it stands on made again where that is damaged, and counts what it pulled', async () => {
    const tools = 'FROM --platform=$BUILDPLATFORM boxes:1 AS tools\nRUN echo damaged > /tools\n';
    const before = await farm.build(await context(tools), '--platform', 'linux/amd64');
    const Layer = z.object({ digest: z.string() });
    // Whichever builder took it: the other makes it as a part.
    const digestsOf = `SELECT layers->-1->'descriptor'->>'digest' AS digest FROM results
      WHERE producer_build IN (SELECT id FROM builds WHERE id = $1 OR parent_id = $1)`;
    const made = (): Promise<readonly z.infer<typeof Layer>[]> =>
      farm.db.query(Layer, digestsOf, [before['kiln.build'].id]);
    // The build has its answer before all that it made is stored.
    await expect.poll(made).not.toEqual([]);
    for (const { digest } of await made()) {
      const hex = digest.slice('sha256:'.length);
      await writeFile(join(farm.dir, 'content/sha256', hex.slice(0, 2), hex), 'other bytes');
    }
    const own = { platform: { os: 'linux', architecture: 'amd64' }, program: '/bin/busybox' };
    const foreign = { platform: { os: 'linux', architecture: 'arm64' }, program: await unseen() };
    await pushBaseImage(`${farm.mirror.host}/library/pulled:1`, [own, foreign]);
    const dir = await context(
      `${tools}FROM pulled:1\nRUN --mount=from=tools,target=/t uname -m | cat - /t/tools > /all\n`,
    );
    const built = await farm.build(dir, '--platform', 'linux/amd64,linux/arm64', '-t', name('repaired'), '--push');
    expect(built.progress).toContain('were lost or damaged');
    expect(await fileOf('repaired', 'arm64', 'all')).toBe('aarch64\ndamaged\n');
    expect(await fileOf('repaired', 'amd64', 'all')).toBe('x86_64\ndamaged\n');
    expect(built['kiln.build'].bytes.pulled).toBeGreaterThan(100_000);
  });

  it('tells its failures as the build’s own', async () => {
    const dir = await context('FROM boxes:1\nRUN echo well\nRUN echo on $(uname -m) && exit 3\n');
    const { code, stderr } = await farm.cli(['build', dir, '--platform', 'linux/arm64']).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('on aarch64');
    expect(stderr).toMatch(/exit(?:ed with|\s+code:?)? 3/);
    expect(stderr).toContain('> 3 | RUN echo on');
  });

  it('runs images of that architecture, whose output and exit code come back', async () => {
    const dir = await context('FROM boxes:1\nRUN uname -m > /machine\nCMD cat /machine; uname -m >&2; exit 4\n');
    await farm.build(dir, '--platform', 'linux/amd64,linux/arm64', '-t', 'run');
    const { code, stdout, stderr } = await farm.cli(['run', '--platform', 'linux/arm64', 'run']).ended;
    expect({ code, stdout, stderr }).toEqual({ code: 4, stdout: 'aarch64\n', stderr: 'aarch64\n' });
    // Whoever has the run gives it on, or is fit for it itself.
    const Owner = z.object({ owner: z.string() });
    const owners = await farm.db.query(Owner, "SELECT owner FROM builds WHERE request->>'reference' = 'run'");
    expect(owners).toContainEqual({ owner: 'arm' });
  });

  it('makes progress where every builder has one slot and needs the other', async () => {
    await farm.stopBuilder('one', 'SIGTERM');
    await farm.startBuilder('one', { KILN_BUILDER_CONCURRENCY: '1', KILN_EMULATION: 'off' });
    const builds = Array.from({ length: 4 }, async (_, index) => {
      const dir = await context(`FROM boxes:1\nRUN echo ${index} > /index; sleep 0.5\nRUN uname -m\n`);
      return farm.build(dir, '--platform', 'linux/amd64,linux/arm64');
    });
    for (const built of await Promise.all(builds)) expect(built['kiln.build'].steps.run).toBe(4);
  });

  it('takes its steps with it when they are cancelled', async () => {
    const dir = await context('FROM boxes:1\nRUN echo begun $(uname -m); sleep 60\n');
    const { child, ended, seen } = farm.cli(['build', dir, '--platform', 'linux/arm64']);
    await expect.poll(seen, { timeout: 30_000 }).toContain('begun aarch64');
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    const Open = z.object({ count: z.coerce.number() });
    const open = async (): Promise<number | undefined> =>
      (await farm.db.query(Open, "SELECT count(*) AS count FROM builds WHERE state IN ('queued', 'running')", []))[0]
        ?.count;
    await expect.poll(open, { timeout: 20_000 }).toBe(0);
  });

  it('goes on while its build goes to another builder, and tells every line once', async () => {
    await farm.stopBuilder('one', 'SIGTERM');
    await farm.startBuilder('one');
    // The only slot for builds of the other one is taken: what comes now goes to this one.
    const owner = z.object({ owner: z.string() });
    const own = "SELECT owner FROM builds WHERE state = 'running' AND parent_id IS NULL AND owner = 'arm'";
    const blockers: RunningCli[] = [];
    while ((await farm.db.query(owner, own, [])).length === 0) {
      const dir = await context(`FROM boxes:1\nRUN echo ${blockers.length}; sleep 300\n`);
      const blocker = farm.cli(['build', dir, '--platform', 'linux/amd64', '--progress=plain']);
      blockers.push(blocker);
      await expect.poll(blocker.seen, { timeout: 30_000 }).toMatch(/^#\d+ [\d.]+ \d$/m);
    }
    const dir = await context(
      'FROM boxes:1\nRUN for n in $(seq 1 40); do echo line $n of $(uname -m); sleep 0.5; done; uname -m > /machine\n',
    );
    const { ended, seen } = farm.cli([
      ...['build', dir, '--platform', 'linux/arm64', '-t', name('moved'), '--push', '--progress=plain'],
    ]);
    await expect.poll(seen, { timeout: 30_000 }).toContain('line 2 of aarch64');
    const newest = 'SELECT id FROM builds WHERE parent_id IS NULL ORDER BY created_at DESC LIMIT 1';
    const [{ id } = { id: '' }] = await farm.db.query(z.object({ id: z.string() }), newest, []);
    await farm.stopBuilder('one', 'SIGKILL');
    await farm.startBuilder('one');
    const { code, stderr } = await ended;
    for (const { child } of blockers) child.kill('SIGINT');
    expect(code, stderr).toBe(0);
    const lines = [...stderr.matchAll(/line (\d+) of aarch64$/gm)].map(([, line]) => Number(line));
    expect(lines).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect(await parts(id)).toEqual([{ owner: 'arm', part_platform: 'linux/arm64', state: 'succeeded' }]);
    expect(await fileOf('moved', 'arm64', 'machine')).toBe('aarch64\n');
    await Promise.all(blockers.map(({ ended: over }) => over));
  });

  it('may be lost: who emulates goes on', async () => {
    const dir = await context('FROM boxes:1\nRUN uname -m > /machine; echo begun on $(uname -m); sleep 6\n');
    const { ended, seen } = farm.cli([
      ...['build', dir, '--platform', 'linux/arm64,linux/amd64', '-t', name('lost'), '--push', '--progress=plain'],
    ]);
    await expect.poll(seen, { timeout: 60_000 }).toContain('begun on aarch64');
    await farm.stopBuilder('arm', 'SIGKILL');
    expect((await ended).code).toBe(0);
    expect(await fileOf('lost', 'arm64', 'machine')).toBe('aarch64\n');
  });
});
