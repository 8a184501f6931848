import { execFileSync } from 'node:child_process';
import { lstat, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Permission, ProjectStore, TokenStore } from '#storage';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, type SeenImage } from './image.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

async function built(files: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<SeenImage> {
  const dir = await farm.folder();
  await write(dir, files);
  const layout = join(dir, 'layout.tar');
  await farm.build(dir, '-o', `type=oci,dest=${layout}`, ...args);
  return await see(`oci-archive:${layout}`, await farm.folder());
}

/** What a build that fails says. */
async function refused(files: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<string> {
  const dir = await farm.folder();
  await write(dir, files);
  const { code, stderr } = await farm.kilnBuild([dir, ...args]);
  expect(code).toBe(1);
  return stderr;
}

const text = ({ root }: SeenImage, path: string): Promise<string> => readFile(join(root, path), 'utf8');
const outputOf = (progress: string, name: string): string | undefined =>
  new RegExp(`^#\\d+ [\\d.]+ (?:.* )?${name}=(.*)$`, 'm').exec(progress)?.[1];

describe('bind mounts', () => {
  it('show the context, a stage, an image; what is written is thrown away, and nothing is left of them', async () => {
    const image = await built({
      Dockerfile: `FROM box:1 AS tool
RUN mkdir -p /made/deep && echo by-stage > /made/f && chown 1000:1000 /made/f
FROM box:1
RUN --mount=target=/ctx,source=src cat /ctx/a > /a; ls -ln /ctx/a | cut -c1-10 >> /a; touch /ctx/x 2>/dev/null || echo closed >> /a
RUN --mount=target=/one.txt,source=src/a cat /one.txt > /b
RUN --mount=from=tool,source=made,target=/m --mount=from=box:1,target=/img stat -c '%u %n' /m/f /img/bin/busybox > /c
RUN --mount=from=tool,source=/made,target=/m,rw echo more >> /m/f && cat /m/f > /d && mkdir /m/deep/er
RUN --mount=from=tool,source=made,target=/m cat /m/f > /e; ls /m/deep >> /e
WORKDIR /src
RUN --mount=target=.,rw echo changed > src/a && cat src/a > /tmp/f
`,
      'src/a': 'from the context\n',
      unused: 'x',
    });
    expect(await text(image, 'a')).toBe('from the context\n-rw-r--r--\nclosed\n');
    expect(await text(image, 'b')).toBe('from the context\n');
    expect(await text(image, 'c')).toBe('1000 /m/f\n0 /img/bin/busybox\n');
    expect(await text(image, 'd')).toBe('by-stage\nmore\n');
    expect(await text(image, 'e')).toBe('by-stage\n');
    const left = (await readdir(image.root)).sort();
    expect(left).toEqual(['a', 'b', 'bin', 'c', 'd', 'e', 'etc', 'root', 'src', 'tmp', 'var']);
    expect(await text(image, 'tmp/f')).toBe('changed\n');
    expect(await readdir(join(image.root, 'src'))).toEqual([]);
    expect(await readdir(join(farm.dir, 'builder-one/mnt'))).toEqual([]);
  });

  it('are hits as long as what they show is the same', async () => {
    const dir = await farm.folder();
    const dockerfile = `FROM box:1 AS s
COPY in /in
FROM box:1
RUN --mount=target=/ctx,source=src cat /ctx/a > /a
RUN --mount=from=s,source=in/used,target=/u cat /u > /b
`;
    const files = { Dockerfile: dockerfile, 'src/a': '1', other: '1', 'in/used': '1', 'in/unused': '1' };
    await write(dir, files);
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 3 });
    await write(dir, { other: '2' });
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 0, hit: 3 });
    // The stage is another, what is mounted of it is not.
    await write(dir, { 'in/unused': '2' });
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 1, hit: 2 });
    await write(dir, { 'src/a': '2' });
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 2, hit: 1 });
  });

  it('what is not there is said by name', async () => {
    const missing = await refused({ Dockerfile: 'FROM box:1\nRUN --mount=target=/m,source=srcs true\n', 'src/a': '' });
    expect(missing).toContain('"/srcs": not found');
    expect(missing).toContain('did you mean /src');
    const stage = await refused({
      Dockerfile: 'FROM box:1 AS s\nFROM box:1\nRUN --mount=from=s,source=/nope,target=/m true\n',
    });
    expect(stage).toContain('"/nope": not found');
    const other = await refused({ Dockerfile: 'FROM box:1\nRUN --mount=target=/etc/passwd true\n' });
    expect(other).toContain('cannot mount a directory on /etc/passwd');
  });

  it('links lead nowhere outside: of sources, of targets, put in place by a step', async () => {
    const outside = await farm.folder();
    await write(outside, { secret: 'of the node' });
    const dir = await farm.folder();
    const up = '../'.repeat(12);
    await write(dir, {
      Dockerfile: `FROM box:1 AS s
RUN ln -s ${up}${outside} /up && ln -s ${outside} /abs && mkdir -p ${outside} && echo own > ${outside}/secret
FROM box:1
RUN ln -s ${up}${outside}/target /t1; ln -s ${outside}/target2 /t2
RUN --mount=from=s,source=up,target=/u --mount=from=s,source=abs/secret,target=/a cat /u/secret /a > /seen
RUN --mount=type=tmpfs,target=/t1/deep --mount=type=tmpfs,target=/t2 echo x > /t1/deep/x; echo y > /t2/y
RUN --mount=type=tmpfs,target=/gone/t rm -rf /gone 2>/dev/null; mkdir -p /g2; true
RUN --mount=type=tmpfs,target=/p/q/r mv /p /kept; ln -s ${outside} /p; true
`,
    });
    const layout = join(dir, 'layout.tar');
    await farm.build(dir, '-o', `type=oci,dest=${layout}`);
    const image = await see(`oci-archive:${layout}`, await farm.folder());
    expect(await text(image, 'seen')).toBe('own\nown\n');
    expect(await readdir(outside)).toEqual(['secret']);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('of the node');
    await symlink(outside, join(dir, 'leak'));
    await write(dir, { Dockerfile: 'FROM box:1\nRUN --mount=target=/m,source=leak cat /m/secret\n' });
    const { code, stderr } = await farm.cli(['build', dir]).ended;
    expect([code, stderr.includes('of the node')]).toEqual([1, false]);
  });
});

describe('cache mounts', () => {
  const count = (flags: string): string => `FROM box:1
ARG N
RUN --mount=type=cache,target=/c${flags} echo $N >> /c/n; echo lines=$(wc -l < /c/n) mode=$(stat -c %a:%u:%g /c)
`;
  const run = async (dir: string, ...args: readonly string[]): Promise<string | undefined> =>
    outputOf((await farm.build(dir, '--no-cache', '--progress', 'plain', ...args)).progress, 'lines');

  it('live from build to build, and over a restart of the builder', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: count(',id=counter') });
    expect(await run(dir)).toBe('1 mode=755:0:0');
    expect(await run(dir)).toBe('2 mode=755:0:0');
    await farm.stopBuilder('one', 'SIGKILL');
    await farm.startBuilder('one');
    expect(await run(dir)).toBe('3 mode=755:0:0');
  });

  it('ids that look like paths are names', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: count(',id=../../../../../../etc,mode=1770,uid=7,gid=8') });
    expect(await run(dir)).toBe('1 mode=1770:7:8');
    expect(await run(dir)).toBe('2 mode=1770:7:8');
    expect(await lstat('/etc/n').catch(() => undefined)).toBeUndefined();
  });

  it('another scope, and another project, have their own', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: count(',id=mine') });
    expect(await run(dir)).toBe('1 mode=755:0:0');
    for (const [project, scope] of [
      ['default', 'fork'],
      ['other', 'main'],
    ] as const) {
      const ids = await new ProjectStore(farm.db).ensure(project, scope);
      const token = await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options });
      const cli = farm.cli(['build', dir, '--no-cache', '--progress', 'plain'], { env: { KILN_TOKEN: token } });
      expect(outputOf((await cli.ended).stderr, 'lines')).toBe('1 mode=755:0:0');
    }
    expect(await run(dir)).toBe('2 mode=755:0:0');
  });

  it('begin with the files of a stage', async () => {
    const dir = await farm.folder();
    await write(dir, {
      Dockerfile: `FROM box:1 AS seed
RUN mkdir -p /s/d && echo seeded > /s/d/f && chown -R 5:6 /s && chmod 711 /s
FROM box:1
RUN --mount=type=cache,target=/c,from=seed,source=s echo lines=$(cat /c/d/f) $(stat -c %a:%u /c) $(stat -c %u:%g /c/d/f); echo more >> /c/d/f
`,
    });
    expect(await run(dir)).toBe('seeded 711:5 5:6');
    expect(await run(dir)).toBe('seeded more 711:5 5:6');
  });

  it('locked ones wait, private ones get a copy, shared ones are shared', async () => {
    const dir = await farm.folder();
    // What a second step finds while the first is at work.
    const both = (sharing: string): string => `FROM box:1 AS a
RUN --mount=type=cache,target=/c,id=${sharing},sharing=${sharing} touch /c/busy; sleep 3; rm /c/busy
FROM box:1 AS b
RUN --mount=type=cache,target=/c,id=${sharing},sharing=${sharing} sleep 1; echo found=$(ls /c)
FROM box:1
COPY --from=a /etc/passwd /a
COPY --from=b /etc/passwd /b
`;
    const found = async (sharing: string): Promise<string> => {
      await write(dir, { Dockerfile: both(sharing) });
      return (await farm.build(dir, '--no-cache', '--progress', 'plain')).progress;
    };
    expect(outputOf(await found('shared'), 'found')).toBe('busy');
    expect(outputOf(await found('private'), 'found')).toBe('');
    const locked = await found('locked');
    expect(outputOf(locked, 'found')).toBe('');
    expect(locked).toContain('waiting for the cache mount "locked"');
  });

  it('those used least recently make room', async () => {
    // Else what was removed would come back from the farm.
    await farm.startBuilder('small', { KILN_CACHE_MOUNTS_MIB: '3', KILN_CACHE_MOUNT_PUBLISH_MIB: '0' });
    await farm.stopBuilder('one', 'SIGTERM');
    const dir = await farm.folder();
    const fill = async (id: string): Promise<string | undefined> => {
      await write(dir, {
        Dockerfile: `FROM box:1\nRUN --mount=type=cache,target=/c,id=${id} echo found=$(ls /c); dd if=/dev/urandom of=/c/x bs=1M count=2\n`,
      });
      return outputOf((await farm.build(dir, '--no-cache', '--progress', 'plain')).progress, 'found');
    };
    expect(await fill('first')).toBe('');
    expect(await fill('second')).toBe('');
    await delay(500);
    expect(await fill('second')).toBe('x');
    expect(await fill('first')).toBe('');
    await farm.startBuilder('one');
    await farm.stopBuilder('small', 'SIGTERM');
  });
});

describe('what else a step gets', () => {
  it('memory, mounts within mounts, and no trace of any', async () => {
    const image = await built({
      Dockerfile: `FROM box:1
RUN --mount=type=tmpfs,target=/a/b/c --mount=type=tmpfs,target=/a,size=8m --mount=target=/a/b/c/d,source=f cat /a/b/c/d > /out; df -k /a | tail -1 | awk '{print $2}' >> /out; touch /a/x /a/b/c/x; stat -c %a /a >> /out
RUN --mount=type=tmpfs,target=/etc/app/conf true
RUN --mount=type=tmpfs,target=/t,ro touch /t/x 2>/dev/null || echo closed > /closed
`,
      f: 'file\n',
    });
    expect(await text(image, 'out')).toBe('file\n8192\n1777\n');
    expect(await text(image, 'closed')).toBe('closed\n');
    expect((await readdir(image.root)).sort()).toEqual(['bin', 'closed', 'etc', 'out', 'root', 'tmp', 'var']);
    expect((await readdir(join(image.root, 'etc'))).sort()).toEqual(['group', 'passwd']);
  });

  it('hosts, limits, and the size of /dev/shm', async () => {
    const dir = await farm.folder();
    await write(dir, {
      Dockerfile: `FROM box:1
RUN echo "hosts=$(tail -n 2 /etc/hosts | tr '\\t\\n' '  ')"; echo "files=$(ulimit -Sn) $(ulimit -Hn)"; echo "shm=$(df -k /dev/shm | tail -1 | awk '{print $2}')"; echo "home=$HOME"
USER web
RUN echo "home2=$HOME $(id -u):$(id -G)"
`,
    });
    const flags = ['--add-host', 'db:10.1.2.3', '--add-host', 'v6=[fd00::1]', '--ulimit', 'nofile=100:200'];
    const { progress } = await farm.build(dir, '--progress', 'plain', '--shm-size', '1m', ...flags);
    expect(outputOf(progress, 'hosts')).toBe('10.1.2.3 db fd00::1 v6');
    expect(outputOf(progress, 'files')).toBe('100 200');
    expect(outputOf(progress, 'shm')).toBe('1024');
    expect(outputOf(progress, 'home')).toBe('/root');
    expect(outputOf(progress, 'home2')).toBe('/tmp 1000:1000');
  });

  it('less memory than the farm gives', async () => {
    const dockerfile = 'FROM box:1\nRUN tail /dev/zero\n';
    expect(await refused({ Dockerfile: dockerfile }, '--memory', '64m')).toContain('more than 64 MiB of memory');
  });

  it('proxies, in no key and no image', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: 'FROM box:1\nRUN echo "proxy=$http_proxy $HTTP_PROXY"\n' });
    const { progress } = await farm.build(dir, '--progress', 'plain', '--build-arg', 'http_proxy=http://user:pw@p');
    expect(outputOf(progress, 'proxy')).toBe('http://user:pw@p http://user:pw@p');
    const again = await farm.build(dir, '--build-arg', 'http_proxy=http://other');
    expect(again['kiln.build'].steps).toMatchObject({ run: 0, hit: 1 });
  });

  it('what goes beyond the sandbox, only where client and farm both give it', async () => {
    const insecure = {
      Dockerfile: `FROM box:1\nRUN --security=insecure mkdir -p /t && mount -t tmpfs t /t && umount /t && rmdir /t && echo yes > /y\n`,
    };
    const host = { Dockerfile: 'FROM box:1\nRUN --network=host ls /sys/class/net > /nets; cat /etc/hosts > /h\n' };
    const withoutFlag = await refused(insecure);
    expect(withoutFlag).toContain('the build was not given the entitlement security.insecure');
    expect(withoutFlag).toContain('--allow security.insecure');
    expect(withoutFlag).toContain('> 2 |');
    const withoutFarm = await refused(insecure, '--allow', 'security.insecure');
    expect(withoutFarm).toContain('this farm does not grant the entitlement security.insecure');
    expect(withoutFarm).toContain('KILN_ENTITLEMENTS');
    expect(await refused({ Dockerfile: 'FROM box:1\nRUN true\n' }, '--network', 'host')).toContain('network.host');
    await farm.startBuilder('giving', { KILN_ENTITLEMENTS: 'network.host,security.insecure' });
    await farm.stopBuilder('one', 'SIGTERM');
    expect(await refused(insecure)).toContain('--allow security.insecure');
    expect(await text(await built(insecure, '--allow', 'security.insecure'), 'y')).toBe('yes\n');
    const image = await built(host, '--allow', 'network.host');
    const own = execFileSync('ls', ['/sys/class/net']).toString();
    expect(await text(image, 'nets')).toBe(own);
  });
});
