import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { trySandbox } from '#executor';
import { diffUpper } from '#snapshot';
import { Sandboxes } from './sandbox.ts';
import { shift, summary } from './scratch.ts';

let sandboxes: Sandboxes;
beforeAll(async () => {
  sandboxes = await Sandboxes.open();
});
afterEach(async () => {
  expect(await sandboxes.leftovers()).toEqual([]);
});
afterAll(async () => {
  const { dir, cgroupParent } = sandboxes;
  await sandboxes[Symbol.asyncDispose]();
  expect(fs.existsSync(dir)).toBe(false);
  expect(fs.existsSync(join('/sys/fs/cgroup/memory', cgroupParent))).toBe(false);
});

describe('a node', () => {
  test('is tried before it takes steps', async () => {
    await trySandbox(sandboxes.executor, sandboxes.dir, shift.uid);
  });

  test('that gives no sandboxes says so, and why', async () => {
    await using broken = await Sandboxes.open('/no/such/program');
    const tried = trySandbox(broken.executor, broken.dir, shift.uid);
    await expect(tried).rejects.toThrow(/no step can run on this machine: the sandbox has no network/);
    expect(await broken.leftovers()).toEqual([]);
  });
});

describe('a process and its exit', () => {
  test('output by stream, and the exit code', async () => {
    expect(await sandboxes.run('echo out; echo err >&2; exit 7')).toEqual({
      exitCode: 7,
      outOfMemory: false,
      out: 'out\n',
      err: 'err\n',
    });
  });

  test('the exit of a process that a signal ended', async () => {
    expect(await sandboxes.run('sh -c "kill -9 \\$\\$"; exit $?')).toMatchObject({ exitCode: 137, outOfMemory: false });
  });

  test('/dev/stdout can be opened again, by any user', async () => {
    expect(await sandboxes.run('echo a >/dev/stdout; echo b >/dev/stderr', { uid: 1000, gid: 1000 })).toMatchObject({
      out: 'a\n',
      err: 'b\n',
    });
  });

  test('user, groups, directory, environment and host name', async () => {
    const { out } = await sandboxes.run('id; echo $PWD $NAME; cat /proc/sys/kernel/hostname', {
      uid: 12,
      gid: 34,
      additionalGids: [56],
      cwd: '/tmp',
      env: ['PATH=/bin', 'NAME=value'],
    });
    expect(out).toBe('uid=12 gid=34 groups=56\n/tmp value\nsandbox\n');
  });

  test('a command that is not there, or is none', async () => {
    const missing = await sandboxes.run('', { args: ['no-such-command'] });
    expect(missing).toMatchObject({ exitCode: 127 });
    expect(missing.err).toContain('executable file not found in $PATH');
    expect(await sandboxes.run('', { args: ['/no/such'] })).toMatchObject({ exitCode: 127 });
    expect(await sandboxes.run('', { args: ['/tmp'] })).toMatchObject({ exitCode: 126 });
  });

  test('a sandbox that cannot be made is no failed process', async () => {
    const mounts = [{ kind: 'bind' as const, source: '/etc/hostname', target: '/bin/sh/x', readonly: true }];
    await expect(sandboxes.run('true', { mounts })).rejects.toMatchObject({ code: 'SANDBOX_FAILED' });
    await expect(sandboxes.run('true', { cwd: '/bin/sh' })).rejects.toMatchObject({ code: 'SANDBOX_FAILED' });
  });

  test('much output arrives whole, and a slow reader slows the process down', async () => {
    const { snapshots } = sandboxes.scratch;
    const root = await sandboxes.scratch.mount(await snapshots.prepare('slow', sandboxes.base));
    let bytes = 0;
    let reading = 0;
    const spec = sandboxes.spec('dd if=/dev/zero bs=1024 count=4096 2>/dev/null');
    const exit = await sandboxes.executor.run(
      spec,
      root,
      async (_, chunk) => {
        expect(++reading).toBe(1);
        bytes += chunk.byteLength;
        await delay(1);
        reading--;
      },
      new AbortController().signal,
    );
    expect(exit.exitCode).toBe(0);
    expect(bytes).toBe(4 * 1024 * 1024);
    await sandboxes.scratch.unmount(root);
    await snapshots.remove('slow');
  });

  test('a reader that fails ends the process, and its error is told', async () => {
    const root = await sandboxes.scratch.mount(await sandboxes.scratch.snapshots.prepare('failing', sandboxes.base));
    const failing = sandboxes.executor.run(
      sandboxes.spec('yes'),
      root,
      () => {
        throw new Error('the log is full');
      },
      new AbortController().signal,
    );
    await expect(failing).rejects.toThrow('the log is full');
    await sandboxes.scratch.unmount(root);
    await sandboxes.scratch.snapshots.remove('failing');
  });
});

describe('what a step leaves in its root', () => {
  /** The delta of a script on a root that has nothing but `files`. */
  async function trace(script: string, prepare = ''): Promise<readonly string[]> {
    const { scratch } = sandboxes;
    const base = await scratch.layer(sandboxes.base, (root) => {
      execFileSync('/bin/sh', ['-ec', prepare], { cwd: root });
    });
    let exitCode = -1;
    const name = await scratch.layer(base, async (root) => {
      ({ exitCode } = await sandboxes.runIn(root, script));
    });
    expect(exitCode).toBe(0);
    const lower = await scratch.view(base);
    const delta = diffUpper({ upper: scratch.snapshots.upperOf(name), lower, shift });
    await scratch.unmount(lower);
    return summary(delta);
  }

  test('nothing of its own: no mount points, no resolv.conf, no times', async () => {
    expect(await trace('true')).toEqual([]);
    expect(await trace('true', 'mkdir etc; touch -d @1000 etc')).toEqual([]);
    expect(
      await trace(
        'true',
        'ln -s run/systemd/resolv.conf resolv; mkdir etc; ln -s ../run/x/resolv.conf etc/resolv.conf',
      ),
    ).toEqual([]);
  });

  test('what the step made beside the mount points', async () => {
    expect(await trace('echo > /etc/mine')).toEqual(['dir etc', 'file etc/mine']);
  });

  test('nothing on the node, when the step puts links in the place of mount points’ parents', async () => {
    const outside = join(sandboxes.dir, 'outside');
    fs.mkdirSync(outside);
    for (const name of ['resolv.conf', 'hosts']) fs.writeFileSync(join(outside, name), '');
    fs.utimesSync(outside, 1000, 1000);
    expect(await trace(`mv /etc /moved && ln -s ${outside} /etc`)).toContain('symlink etc');
    expect(fs.readdirSync(outside).sort()).toEqual(['hosts', 'resolv.conf']);
    expect(fs.statSync(outside).mtimeMs).toBe(1_000_000);
  });

  test('an image’s own resolv.conf stays as it is', async () => {
    expect(await trace('cat /etc/resolv.conf', 'mkdir etc; echo own > etc/resolv.conf; : > etc/hosts')).toEqual([]);
  });
});

describe('isolation', () => {
  test('root inside is nobody on the node', async () => {
    const { out } = await sandboxes.run('id -u; cat /proc/self/uid_map; touch /made; stat -c %u /made');
    expect(out.split('\n').map((line) => line.trim().split(/\s+/))).toEqual([
      ['0'],
      ['0', '100000', '2147483648'],
      ['0'],
      [''],
    ]);
    fs.writeFileSync(join(sandboxes.dir, 'secret'), 'secret', { mode: 0o600 });
    const mounts = [
      { kind: 'bind' as const, source: join(sandboxes.dir, 'secret'), target: '/secret', readonly: false },
    ];
    expect(await sandboxes.run('cat /secret; echo x > /secret', { mounts })).toMatchObject({ exitCode: 1, out: '' });
    expect(fs.readFileSync(join(sandboxes.dir, 'secret'), 'utf8')).toBe('secret');
  });

  test('no privileges over the kernel', async () => {
    const attempts = [
      'mount -t tmpfs none /tmp',
      'unshare -U true',
      'unshare -r -m true',
      'mknod /tmp/disk b 254 0',
      'echo 1 > /proc/sys/kernel/panic',
      'echo c > /proc/sysrq-trigger',
      'echo x > /sys/kernel/uevent_seqnum',
      'test -s /proc/kcore && cat /proc/kcore | dd bs=1 count=1 | grep .',
      'ip route del unreachable 169.254.0.0/16',
      'ls /proc/1/root/sys/firmware/*',
    ];
    const { out } = await sandboxes.run(
      attempts.map((attempt) => `(${attempt}) >/dev/null 2>&1 && echo "did: ${attempt}"`).join('\n') + '\ntrue',
    );
    expect(out).toBe('');
  });

  test('its own processes only', async () => {
    expect(
      (await sandboxes.run('ls -d /proc/[0-9]* | wc -l || ls -d /proc/[0-9]*')).out.split('\n').length,
    ).toBeLessThan(6);
  });

  test('bind mounts are read-only where they should be', async () => {
    const source = join(sandboxes.dir, 'given');
    fs.writeFileSync(source, 'given', { mode: 0o666 });
    fs.chmodSync(source, 0o666);
    const mounts = [{ kind: 'bind' as const, source, target: '/run/deep/given', readonly: true }];
    expect(await sandboxes.run('cat /run/deep/given; echo x > /run/deep/given', { mounts })).toMatchObject({
      exitCode: 1,
      out: 'given',
    });
  });
});

describe('limits', () => {
  test('memory', async () => {
    const outcome = await sandboxes.run('dd if=/dev/zero of=/dev/shm/x bs=1M count=60 2>/dev/null; tail /dev/zero');
    expect(outcome).toMatchObject({ exitCode: 137, outOfMemory: true });
  });

  test('pids', async () => {
    const outcome = await sandboxes.run('i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all', {
      limits: { memoryBytes: 64 * 1024 * 1024, pids: 16 },
    });
    expect(outcome.exitCode).not.toBe(0);
    expect(outcome.out).toBe('');
    expect(outcome.err).toMatch(/can't fork/);
  });

  test('cpu', async () => {
    const limits = { memoryBytes: 64 * 1024 * 1024, pids: 16, cpus: 0.5 };
    const root = await sandboxes.scratch.mount(await sandboxes.scratch.snapshots.prepare('cpu', sandboxes.base));
    let share = 0;
    const spec = sandboxes.spec('echo ready; sleep 0.1', { limits });
    const onOutput = (): void => void (share = sandboxes.cpusOf(spec.id));
    await sandboxes.executor.run(spec, root, onOutput, new AbortController().signal);
    expect(share).toBe(0.5);
    await sandboxes.scratch.unmount(root);
    await sandboxes.scratch.snapshots.remove('cpu');
  });
});

describe('the network', () => {
  const servers: Server[] = [];
  /** A service of the node's on an address, which says `reached`. */
  async function listen(address: string): Promise<number> {
    const server = createServer((socket) => void socket.on('error', () => {}).end('reached\n')).listen(0, address);
    await once(server, 'listening');
    servers.push(server);
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  }
  afterAll(() => servers.forEach((server) => server.close()));

  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

  test('the node’s services cannot be reached under any address', async () => {
    const ports = [await listen('127.0.0.1'), await listen('0.0.0.0')];
    const addresses = [
      '127.0.0.1',
      '10.0.2.2',
      '10.0.2.3',
      '10.0.2.15',
      '10.0.2.100',
      '169.254.169.254',
      '0.0.0.0',
      ...own,
    ];
    expect(own.length).toBeGreaterThan(0);
    const tries = ports.flatMap((port) => addresses.map((address) => `nc -w 2 ${address} ${port} </dev/null &`));
    expect((await sandboxes.run([...tries, 'wait; echo done'].join('\n'), { network: 'default' })).out).toBe('done\n');
    // The same probe finds the service from the node.
    const probe = promisify(execFile)('busybox', ['nc', '-w', '2', '127.0.0.1', String(ports[0])]);
    probe.child.stdin?.end();
    expect((await probe).stdout).toBe('reached\n');
  });

  test('the cloud’s metadata service is unreachable at once', async () => {
    const { err } = await sandboxes.run('nc -w 5 169.254.169.254 80 </dev/null', { network: 'default' });
    expect(err).toMatch(/No route to host|unreachable/);
  });

  test('names and the outside can be reached', async () => {
    const registry = execFileSync('npm', ['config', 'get', 'registry']).toString().trim();
    const { hostname } = new URL(registry);
    const { out, err, exitCode } = await sandboxes.run(
      `nslookup ${hostname} && nc -w 10 ${hostname} 443 </dev/null && echo connected`,
      { network: 'default' },
    );
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toMatch(/connected/);
  });

  test('none means none', async () => {
    const { out } = await sandboxes.run('ip -o link; cat /etc/resolv.conf; nc -w 1 10.0.2.3 53 </dev/null || echo no');
    expect(out).toMatch(/^1: lo:[^\n]*LOOPBACK,UP[^\n]*\n(search[^\n]*\n|options[^\n]*\n)*no\n$/);
  });
});

describe('ending a sandbox', () => {
  test.each(['none', 'default'] as const)('an abort ends all its processes (network %s)', async (network) => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const key = sandboxes.scratch.name();
    const root = await sandboxes.scratch.mount(await sandboxes.scratch.snapshots.prepare(key, sandboxes.base));
    const running = sandboxes.executor.run(
      sandboxes.spec('trap "" TERM INT; (sleep 654321 &); (sleep 654321 &) ; echo ready; sleep 654321', { network }),
      root,
      () => abort.abort(reason),
      abort.signal,
    );
    await expect(running).rejects.toBe(reason);
    expect(execFileSync('ps', ['-eo', 'args']).toString()).not.toContain('sleep 654321');
    await sandboxes.scratch.unmount(root);
    await sandboxes.scratch.snapshots.remove(key);
  });

  test.each([0, 5, 15, 25, 40])('an abort %d ms after the start leaves nothing', async (afterMs) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('cancelled')), afterMs);
    await expect(sandboxes.run('sleep 100', { network: 'default' }, abort.signal)).rejects.toThrow('cancelled');
  });

  test('many at once', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, (_, at) => sandboxes.run(`echo ${at}`, { network: at % 2 === 0 ? 'default' : 'none' })),
    );
    expect(outcomes.map(({ out }) => out)).toEqual(['0\n', '1\n', '2\n', '3\n', '4\n', '5\n']);
  });
});
