import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, textIn } from './image.ts';

const run = promisify(execFile);

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

/** As the classic one: a base, a package, all files, an install, a server. */
const classic = {
  Dockerfile: [
    'FROM box:1',
    'WORKDIR /srv/app',
    'RUN echo installing && echo 1.0 > /usr-package && sleep 0.2',
    'COPY . .',
    'RUN cat package.txt > installed.txt && chown web installed.txt',
    'EXPOSE 8080',
    'CMD ["httpd", "-f", "-p", "8080"]',
    '',
  ].join('\n'),
  'index.html': 'hello\n',
  'package.txt': 'left-pad\n',
};

describe('the main job', () => {
  it('builds, pushes, and is fully cached the second time', async () => {
    const dir = await farm.folder();
    await write(dir, classic);
    const tag = `${farm.registry.host}/acme/hello:latest`;
    const first = await farm.build(dir, '-t', tag, '--push');
    expect(first['kiln.build'].steps).toEqual({ total: 4, hit: 0, run: 4, joined: 0 });
    expect(first['image.name']).toBe(tag);
    expect(first.progress).toMatch(/installing/);
    expect(first.progress).toMatch(/stand-in/);

    const second = await farm.build(dir, '-t', tag, '--push');
    expect(second['kiln.build'].steps).toEqual({ total: 4, hit: 4, run: 0, joined: 0 });
    expect(second['kiln.build'].bytes).toMatchObject({ pulled: 0, pushed: 0 });
    expect(second['containerimage.digest']).toBe(first['containerimage.digest']);
    expect(second.progress).toMatch(/\[5\/5\] RUN cat .*\n#\d+ CACHED/);

    const image = await see(`docker://${tag}`, await farm.folder());
    expect(image.digest).toBe(first['containerimage.digest']);
    expect(await textIn(image, 'srv/app/installed.txt')).toBe('left-pad\n');
    expect((await stat(join(image.root, 'srv/app/installed.txt'))).uid).toBe(1000);
    expect((await stat(join(image.root, 'srv/app/index.html'))).uid).toBe(0);
    expect(image.config.config).toMatchObject({ WorkingDir: '/srv/app', ExposedPorts: { '8080/tcp': {} } });
  });

  it('gives an image that runs and answers', async () => {
    const dir = await farm.folder();
    await write(dir, classic);
    const port = await freePort();
    await write(dir, { Dockerfile: classic.Dockerfile.replaceAll('8080', String(port)) });
    const tag = `${farm.registry.host}/acme/served:1`;
    await farm.build(dir, '-t', tag, '--push');
    const storage = await farm.folder();
    const podman = ['--root', join(storage, 'root'), '--runroot', join(storage, 'run')];
    podman.push('--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--runtime', 'runc');
    // What podman would raise limits to is more than some machines allow.
    const limits = ['--ulimit', 'nofile=1024', '--ulimit', 'nproc=1024'];
    const options = ['--rm', '--network', 'host', '--tls-verify=false', '--name', 'kiln-served', ...limits];
    const container = spawn('podman', [...podman, 'run', ...options, tag], { stdio: 'pipe' });
    let said = '';
    container.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    try {
      const body = await answer(`http://127.0.0.1:${port}/index.html`, container).catch(() => said);
      expect(body).toBe('hello\n');
    } finally {
      await run('podman', [...podman, 'rm', '-f', '-t', '0', 'kiln-served']).catch(() => undefined);
      if (container.exitCode === null && container.signalCode === null) {
        container.kill('SIGKILL');
        await once(container, 'exit');
      }
    }
  });

  it('writes an OCI layout with the tree that the Dockerfile says', async () => {
    const dir = await farm.folder();
    await write(dir, {
      Dockerfile: [
        'FROM box:1 AS made',
        'RUN mkdir -p /out/deep && echo made > /out/deep/file && ln -s deep/file /out/link && chmod 4755 /out/deep/file',
        'FROM box:1',
        'ARG VERSION=1',
        'ENV RELEASE=v$VERSION',
        'COPY --from=made --chown=web:web /out /opt',
        'COPY --chmod=600 secret.txt /opt/',
        'RUN rm -rf /var && echo "$RELEASE" > /opt/release',
        'LABEL org.example.version=$RELEASE',
        'USER web',
        'ENTRYPOINT ["cat"]',
        '',
      ].join('\n'),
      'secret.txt': 'quiet\n',
    });
    const work = await farm.folder();
    const file = join(work, 'image.tar');
    await farm.build(dir, '--output', `type=oci,dest=${file}`, '--build-arg', 'VERSION=7', '-t', 'acme/layout:2');
    const image = await see(`oci-archive:${file}`, work);
    expect(await textIn(image, 'opt/release')).toBe('v7\n');
    expect(await textIn(image, 'opt/deep/file')).toBe('made\n');
    const made = await stat(join(image.root, 'opt/deep/file'));
    expect([made.uid, made.gid, made.mode & 0o7777]).toEqual([1000, 1000, 0o4755]);
    expect(await readlink(join(image.root, 'opt/link'))).toBe('deep/file');
    expect((await stat(join(image.root, 'opt/secret.txt'))).mode & 0o777).toBe(0o600);
    await expect(lstat(join(image.root, 'var'))).rejects.toThrow('ENOENT');
    expect(image.config.config).toMatchObject({
      User: 'web',
      Entrypoint: ['cat'],
      Labels: { 'org.example.version': 'v7' },
      Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'RELEASE=v7'],
    });
  });
});

async function answer(url: string, container: { readonly exitCode: number | null }): Promise<string> {
  for (let tries = 0; tries < 300 && container.exitCode === null; tries++) {
    try {
      return await (await fetch(url)).text();
    } catch {
      await delay(100);
    }
  }
  throw new Error('the container does not answer');
}
