import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { KilnClient } from '#client';
import type { RunRequestInput } from '#protocol';
import { type NewScope, Permission, ProjectStore, TokenStore } from '#storage';
import { write } from './context.ts';
import type { Farm } from './farm.ts';

const dockerfile = [
  'FROM box:1',
  'ENV MODE=slow',
  'WORKDIR /srv',
  'RUN echo mine > /srv/file && chmod 0777 /srv',
  'USER 1000:1001',
  'ENTRYPOINT ["sh", "-c"]',
  'CMD ["cat file; echo $MODE; id -u; id -g; pwd; echo apart >&2; exit 7"]',
  '',
].join('\n');

interface Ended {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
  readonly message: string | undefined;
}

/** `kiln run` against a farm that is there for other tests. */
export function describeRuns(the: () => Farm): void {
  describe('a container of an image', () => {
    let farm: Farm;
    beforeAll(async () => {
      farm = the();
      const context = await farm.folder();
      await write(context, { Dockerfile: dockerfile });
      await farm.build(context, '-t', 'acme/run:1');
    });

    /** By the API alone: a command line takes longer to start than a container. */
    async function ran(image: string, asked: RunRequestInput = {}, token = farm.token): Promise<Ended> {
      await using client = new KilnClient({ baseUrl: farm.url, token });
      const { id } = await client.images.run(image, asked, { idempotencyKey: `${Math.random()}` });
      const said = { 1: '', 2: '' };
      let [code, message]: [number | undefined, string | undefined] = [undefined, undefined];
      for await (const { event } of client.events(id)) {
        if (event.type === 'log') said[event.stream] += event.text;
        if (event.type === 'succeeded') code = 0;
        if (event.type === 'failed') [code, message] = [event.failure.exitCode, event.failure.message];
      }
      return { code, out: said[1], err: said[2], message };
    }
    const shell = (script: string, more: RunRequestInput = {}) =>
      ran('acme/run:1', { ...more, entrypoint: ['sh', '-c'], command: [script] });

    it('has the image’s entry point, variables, user and directory; its streams apart, its exit code the command’s', async () => {
      const { code, stdout, stderr } = await farm.cli(['run', 'acme/run:1']).ended;
      expect({ code, stdout, stderr }).toEqual({
        code: 7,
        stdout: 'mine\nslow\n1000\n1001\n/srv\n',
        stderr: 'apart\n',
      });
      const list = await farm.cli(['builds', '-n', '1']).ended;
      expect(list.stdout).toMatch(/ failed .* run +acme\/run:1\n$/);
    });

    it('takes from the command line what docker run takes, flags behind the image for the command', async () => {
      const flags = ['-e', 'MODE', '--env=MORE=a b', '-u', '0', '-w', '/', '--entrypoint', '/bin/sh', '--rm'];
      const script = 'echo $MODE $MORE $0 $1; id -u; pwd; cat /run/secrets/token | wc -c';
      const args = ['run', ...flags, '--secret', 'id=token,env=TOKEN', 'acme/run:1', '-c', script, '-q', '--rm'];
      const { code, stdout, stderr } = await farm.cli(args, { env: { MODE: 'fast', TOKEN: 'verysecret' } }).ended;
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'fast a b -q --rm\n0\n/\n10\n', stderr: '' });
    });

    it('leaves nothing behind, in its image or in the cache', async () => {
      const count = 'SELECT (SELECT count(*) FROM results)::int AS results, (SELECT count(*) FROM blobs)::int AS blobs';
      const known = () => farm.db.query(z.object({ results: z.int(), blobs: z.int() }), count);
      const before = await known();
      expect(await shell('echo theirs > file; echo x > new; cat file; ls', { user: '0' })).toMatchObject({
        code: 0,
        out: 'theirs\nfile\nnew\n',
      });
      expect(await shell('cat file; ls')).toMatchObject({ code: 0, out: 'mine\nfile\n' });
      expect(await known()).toEqual(before);
    });

    it('says all that it has to say', async () => {
      const lines = 'seq 1 700000; printf end >&2';
      const { code, stdout, stderr } = await farm.cli(['run', 'acme/run:1', lines]).ended;
      expect([code, stderr]).toEqual([0, 'end']);
      expect(stdout.length).toBeGreaterThan(4 * 1024 * 1024);
      expect(stdout === execFileSync('seq', ['1', '700000'], { encoding: 'utf8', maxBuffer: 1 << 24 })).toBe(true);
    });

    it('has the limits and mounts that it is given, and the rules of RUN', async () => {
      const limits: RunRequestInput = {
        ulimits: [{ name: 'nofile', soft: 99, hard: 99 }],
        addHosts: [{ name: 'db', address: '10.1.2.3' }],
        network: 'none',
        tmpfs: [{ target: '/scratch', sizeBytes: 1024 * 1024 }],
        shmSizeBytes: 2 * 1024 * 1024,
      };
      const script =
        'ulimit -n; grep db /etc/hosts; ls /sys/class/net; df -k /scratch | tail -1; grep CapEff /proc/self/status';
      const { out } = await shell(script, { ...limits, user: '0' });
      expect(out).toMatch(/^99\n10\.1\.2\.3\s+db\nlo\n\S+ +1024 .*\/scratch\nCapEff:\t00000000a80425fb\n$/);
      expect(await shell('true', { network: 'host' })).toMatchObject({
        code: undefined,
        message: expect.stringContaining('entitlement network.host') as string,
      });
      const hungry = await shell('x=a; while :; do x=$x$x; done', { memoryBytes: 16 * 1024 * 1024 });
      expect(hungry).toMatchObject({
        code: 137,
        err: expect.stringContaining('kiln: out of memory: it used more than 16 MiB') as string,
      });
    });

    it('is of what a registry has where the project has no such image, or there is to be no other', async () => {
      expect(await ran('box:1', { command: ['echo', 'base'] })).toMatchObject({ code: 0, out: 'base\n' });
      expect(await ran('acme/none:1')).toMatchObject({
        code: undefined,
        message: expect.stringContaining('the project has no image acme/none:1') as string,
      });
      const refused = await farm.cli(['run', '--pull=never', 'box:1', 'true']).ended;
      expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining('there is no image') as string });
      const missing = await farm.cli(['run', '--entrypoint', 'nowhere', 'acme/run:1']).ended;
      expect(missing).toMatchObject({ code: 127, stdout: '', stderr: expect.stringContaining('nowhere') as string });
    });

    it('is of an image that its project and scope may see', async () => {
      const token = async (scope: string, options: NewScope, project = 'default'): Promise<string> => {
        const ids = await new ProjectStore(farm.db).ensure(project, scope, options);
        return await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options });
      };
      const never: RunRequestInput = { pull: 'never', command: ['echo', 'seen'] };
      await expect(ran('acme/run:1', never, await token('main', {}, 'theirs'))).rejects.toThrow('there is no image');
      const pull = await token('pr-1', { parent: 'main', trust: 'branch' });
      expect(await ran('acme/run:1', never, pull)).toMatchObject({ code: 0 });
      const context = await farm.folder();
      await write(context, { Dockerfile: 'FROM box:1\nRUN echo pr > /pr\nCMD cat /pr\n' });
      const { code } = await farm.kilnBuild([context, '-t', 'acme/pr:1'], { env: { KILN_TOKEN: pull } });
      expect(code).toBe(0);
      expect(await ran('acme/pr:1', { pull: 'never' }, pull)).toMatchObject({ code: 0, out: 'pr\n' });
      await expect(ran('acme/pr:1', { pull: 'never' })).rejects.toThrow('there is no image');
    });

    it('has layers that the farm has dropped from where they were pushed to, else says what to do', async () => {
      const name = `${farm.registry.host}/acme/run:1`;
      const context = await farm.folder();
      await write(context, { Dockerfile: 'FROM box:1\nRUN echo dropped > /file\nCMD cat /file\n' });
      const drop = async (image: string): Promise<void> => {
        await using client = new KilnClient({ baseUrl: farm.url, token: farm.token });
        const { history } = (await client.images.image(image)).content.variants[0] ?? { history: [] };
        await farm.content.remove(new Set(history.flatMap(({ layer }) => layer?.descriptor.digest ?? []).slice(1)));
      };
      await farm.build(context, '-t', name, '--push');
      await drop(name);
      expect(await ran(name)).toMatchObject({ code: 0, out: 'dropped\n' });
      await write(context, { Dockerfile: 'FROM box:1\nRUN echo lost > /file\nCMD cat /file\n' });
      await farm.build(context, '-t', 'acme/lost:1');
      await drop('acme/lost:1');
      expect((await ran('acme/lost:1')).message).toContain('the farm has dropped layers of the image');
    });

    it('ends with Ctrl-C', async () => {
      const running = farm.cli(['run', 'acme/run:1', 'echo begun; exec sleep 4242']);
      await until(() => running.seen().includes('begun'));
      expect(processes('sleep\x004242')).toHaveLength(1);
      running.child.kill('SIGINT');
      expect(await running.ended).toMatchObject({ code: 130, stdout: 'begun\n' });
      expect(processes('sleep\x004242')).toEqual([]);
    });
  });
}

/** Of this machine, those of sandboxes among them. */
function processes(commandLine: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(commandLine);
    } catch {
      return false;
    }
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10);
}
