import { execFile, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { GoldenCase } from './golden-case.ts';
import { type Built, caseArgs } from './kiln-builder.ts';

const run = promisify(execFile);
/** On a real disk: an overlay cannot stand on an overlay. */
const SCRATCH = '/var/tmp';
const START_ATTEMPTS = 100;

/** Another builder of images, with all that it keeps in a directory of its own. */
export interface OtherBuilder extends AsyncDisposable {
  /** @param dir the case's working copy @param files address of the file server */
  build(golden: GoldenCase, dir: string, files: string): Promise<Built>;
}

/** Where the base images are, in place of docker.io. */
export type Registry = string;

/** Debian's buildah, without layers of its own: every build is made anew. */
export async function startBuildah(registry: Registry): Promise<OtherBuilder> {
  const home = await mkdtemp(join(SCRATCH, 'kiln-buildah-'));
  const registries = join(home, 'registries.conf');
  const mirror = `[[registry]]\nprefix="docker.io"\nlocation="${registry}"\ninsecure=true\n`;
  await writeFile(registries, `unqualified-search-registries=["docker.io"]\nshort-name-mode="disabled"\n${mirror}`);
  // Its other driver compares sizes and times, and misses what both kept.
  const own = ['--root', join(home, 'root'), '--runroot', join(home, 'run'), '--storage-driver', 'overlay'];
  const env = { ...process.env, CONTAINERS_REGISTRIES_CONF: registries };
  const sandbox = ['--isolation', 'chroot', '--format', 'docker', '--layers=false', '--force-rm', '--network', 'host'];
  return {
    async build(golden, dir, files) {
      const [archive, iid] = [join(dir, 'buildah.tar'), join(dir, 'buildah.iid')];
      const args = caseArgs(golden, dir, files);
      const file = ['-f', join(dir, golden.file), '--iidfile', iid];
      const options = { cwd: dir, env: { ...env, ...golden.env } };
      const built = await said('buildah', [...own, 'bud', ...sandbox, ...file, ...args, join(dir, 'context')], options);
      if (built.code !== 0) return { ...built, archive };
      const id = (await run('cat', [iid])).stdout.trim().replace('sha256:', '');
      await run('buildah', [...own, 'push', id, `docker-archive:${archive}`], { env });
      await run('buildah', [...own, 'rmi', '--force', id], { env });
      return { ...built, archive };
    },
    async [Symbol.asyncDispose]() {
      // It keeps its directory of layers mounted on itself.
      await run('umount', ['--lazy', join(home, 'root/overlay')]).catch(() => undefined);
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** The BuildKit in Debian's docker.io; undefined where that is not installed. */
export async function startBuildKit(registry: Registry): Promise<OtherBuilder | undefined> {
  // Its own client: newer ones want a plug-in to speak BuildKit.
  if (!(await Promise.all(['/usr/sbin/dockerd', '/usr/bin/docker'].map(exists))).every(Boolean)) return undefined;
  const home = await mkdtemp(join(SCRATCH, 'kiln-docker-'));
  const socket = `unix://${home}/docker.sock`;
  const files = ['--data-root', join(home, 'data'), '--exec-root', join(home, 'exec'), '--pidfile', join(home, 'pid')];
  const network = ['--bridge=none', '--iptables=false', '--ip-masq=false', `--registry-mirror=http://${registry}`];
  const daemon = spawn('/usr/sbin/dockerd', ['-H', socket, ...files, ...network], { stdio: 'ignore' });
  const env = { ...process.env, DOCKER_HOST: socket, DOCKER_BUILDKIT: '1', BUILDKIT_PROGRESS: 'plain' };
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
    if (await run('/usr/bin/docker', ['version'], { env }).catch(() => false)) break;
    await delay(200);
  }
  return {
    async build(golden, dir, files) {
      const [archive, iid] = [join(dir, 'buildkit.tar'), join(dir, 'buildkit.iid')];
      const args = caseArgs(golden, dir, files);
      const command = ['build', '--network', 'none', '-f', join(dir, golden.file), '--iidfile', iid, ...args];
      const options = { cwd: dir, env: { ...env, ...golden.env } };
      const built = await said('/usr/bin/docker', [...command, join(dir, 'context')], options);
      if (built.code !== 0) return { ...built, archive };
      const saved = await said(
        '/usr/bin/docker',
        ['save', '-o', archive, (await run('cat', [iid])).stdout.trim()],
        options,
      );
      return { code: saved.code, said: built.said + saved.said, archive };
    },
    async [Symbol.asyncDispose]() {
      daemon.kill('SIGTERM');
      if (daemon.exitCode === null) await once(daemon, 'exit');
      await rm(home, { recursive: true, force: true });
    },
  };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function said(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<{ code: number | null; said: string }> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { code: await once(child, 'close').then(([code]) => z.int().nullable().parse(code)), said: text };
}
