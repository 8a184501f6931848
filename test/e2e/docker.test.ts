import { once } from 'node:events';
import { readFile, copyFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { debianDocker, Docker, ownDocker } from './docker-client.ts';
import { Farm, type RunningCli } from './farm.ts';
import { see, textIn } from './image.ts';
import { makeCertificate } from '../registry/certificate.ts';
import { RealRegistry } from '../registry/real-registry.ts';

let farm: Farm;
let secured: RealRegistry;
let proxy: RunningCli;
let host: string;
let docker: Docker;
let context: string;

const dockerfile = [
  'FROM box:1',
  'ENV MODE=fast',
  'RUN echo built > /built && echo out && sleep 1 && echo err >&2',
  'COPY app /app/',
  'WORKDIR /app',
  'EXPOSE 8080',
  'CMD ["cat", "/app/main"]',
];

beforeAll(async () => {
  secured = await RealRegistry.start({ access: { kind: 'basic' } });
  farm = await Farm.start({ egressAllow: [secured.host, '127.0.0.1:1'] });
  proxy = farm.cli(['proxy', '--listen', '127.0.0.1:0']);
  host = (await listening(proxy)).trim();
  docker = new Docker(await debianDocker(), host, await farm.folder());
  context = await farm.folder();
  await write(context, {
    Dockerfile: `${dockerfile.join('\n')}\n`,
    'app/main': 'main\n',
    '.dockerignore': 'junk\n',
    junk: 'x',
  });
});
afterAll(async () => {
  proxy.child.kill('SIGTERM');
  await proxy.ended;
  await farm[Symbol.asyncDispose]();
  await secured[Symbol.asyncDispose]();
});

async function listening(running: RunningCli): Promise<string> {
  for (;;) {
    const [, address] = /^listening on (\S+)$/m.exec(running.seen()) ?? [];
    if (address !== undefined) return address;
    const over = await Promise.race([running.ended, delay(20)]);
    if (over !== undefined) throw new Error(`kiln proxy ended: ${over.stdout}${over.stderr}${farm.logs()}`);
  }
}

/** Ids of the images that a build tells of, one for each step. */
const ids = (output: string): readonly string[] =>
  [...output.matchAll(/^ ---> ([0-9a-f]{12})$/gm)].map(([, id = '']) => id);

describe('docker’s client of Debian', () => {
  let first: string;

  it('finds an engine, and agrees on a version', async () => {
    const version = await docker.said('version', '--format', '{{.Client.APIVersion}} {{.Server.Version}}');
    expect(version).toMatch(/^1\.41 \d+\.\d+\.\d+\n$/);
    expect(await docker.said('info', '--format', '{{.OperatingSystem}}')).toBe('Kiln build farm\n');
  });

  it('builds, and prints what its users know', async () => {
    first = await docker.said('build', '-t', 'acme/app:1', context);
    const told = first
      .replaceAll(/[0-9a-f]{12}/g, 'ID')
      .replaceAll(/^(?:Sending build context| ---> \[Warning\])[^\n]*\n/gm, '');
    expect(told.split('\n')).toEqual([
      'Step 1/7 : FROM box:1',
      ' ---> ID',
      'Step 2/7 : ENV MODE=fast',
      ' ---> Running in ID',
      'Removing intermediate container ID',
      ' ---> ID',
      'Step 3/7 : RUN echo built > /built && echo out && sleep 1 && echo err >&2',
      ' ---> Running in ID',
      'out',
      '\u001B[91merr',
      '\u001B[0mRemoving intermediate container ID',
      ' ---> ID',
      'Step 4/7 : COPY app /app/',
      ' ---> ID',
      'Step 5/7 : WORKDIR /app',
      ' ---> Running in ID',
      'Removing intermediate container ID',
      ' ---> ID',
      'Step 6/7 : EXPOSE 8080',
      ' ---> Running in ID',
      'Removing intermediate container ID',
      ' ---> ID',
      'Step 7/7 : CMD ["cat", "/app/main"]',
      ' ---> Running in ID',
      'Removing intermediate container ID',
      ' ---> ID',
      'Successfully built ID',
      'Successfully tagged acme/app:1',
      '',
    ]);
    expect(first).toContain(`Successfully built ${ids(first).at(-1)}`);
  });

  it('builds again with every step from the cache, to the same images', async () => {
    const again = await docker.said('build', '-t', 'acme/app:1', context);
    expect(again.match(/ ---> Using cache$/gm)).toHaveLength(6);
    expect(again).not.toContain('Running in');
    expect(ids(again)).toEqual(ids(first));
    const renamed = await docker.said('build', '-t', 'other/name:1', context);
    expect(renamed.match(/ ---> Using cache$/gm)).toHaveLength(6);
    expect(renamed).not.toContain('Running in');
    expect(ids(renamed)).toEqual(ids(first));
    await docker.said('rmi', 'other/name:1');
  });

  it('lists the image, with -a those of every instruction, and its history', async () => {
    const [base, ...steps] = ids(first);
    const image = steps.at(-1) ?? '';
    expect(await docker.said('images', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}')).toBe(`acme/app:1 ${image}\n`);
    const all = (await docker.said('images', '-a', '-q')).trim().split('\n');
    expect(all.toSorted()).toEqual(steps.toSorted());
    const history = (await docker.said('history', '--format', '{{.ID}} {{.CreatedBy}}', '--no-trunc', 'acme/app:1'))
      .trim()
      .split('\n');
    expect(history.map((line) => line.replace('sha256:', '').slice(0, 12))).toEqual([
      ...steps.toReversed(),
      '<missing> bu',
    ]);
    expect(history[0]).toContain('CMD ["cat" "/app/main"]');
    expect(base).not.toBe('');
    const inspected = await docker.said(
      'inspect',
      '--format',
      '{{.Id}} {{.Config.WorkingDir}} {{.Config.Env}}',
      'acme/app:1',
    );
    expect(inspected).toMatch(new RegExp(`^sha256:${image}[0-9a-f]{52} /app \\[.*MODE=fast.*\\]\n$`));
  });

  it('tags and pushes, and mounts into a second repository what is there', async () => {
    const one = `${farm.registry.host}/acme/app:1`;
    const two = `${farm.registry.host}/other/app:2`;
    await docker.said('tag', 'acme/app:1', one);
    const pushed = await docker.said('push', one);
    expect(pushed).toMatch(new RegExp(`^The push refers to repository \\[${farm.registry.host}/acme/app\\]\n`));
    expect(pushed.match(/^[0-9a-f]{12}: Pushed$/gm)).toHaveLength(4);
    expect(pushed).toMatch(/\n1: digest: sha256:[0-9a-f]{64} size: \d+\n$/);
    await docker.said('tag', 'acme/app:1', two);
    const mounted = await docker.said('push', two);
    expect(mounted.match(/^[0-9a-f]{12}: Mounted from acme\/app$/gm)).toHaveLength(4);
    expect((await docker.said('push', two)).match(/: Layer already exists$/gm)).toHaveLength(4);
    const [, digest] = /digest: (sha256:\S+)/.exec(mounted) ?? [];
    const seen = await see(`docker://${two}`, await farm.folder());
    expect(seen.digest).toBe(digest);
    expect([await textIn(seen, 'built'), await textIn(seen, 'app/main')]).toEqual(['built\n', 'main\n']);
    expect(seen.config.config?.Cmd).toEqual(['cat', '/app/main']);
  });

  it('tells a step that fails with its output, and ends with the step’s exit code', async () => {
    const broken = await farm.folder();
    await write(broken, {
      Dockerfile: 'FROM box:1\nRUN echo before; sleep 1; echo why >&2; exit 42\nRUN echo never\n',
    });
    const { code, stdout, stderr } = await docker.run('build', '--build-arg', 'X=1', broken);
    expect(code).toBe(42);
    expect(stdout).toMatch(
      /Step 2\/3 : RUN echo before[^]* ---> Running in [0-9a-f]{12}\nbefore\n\u001B\[91mwhy\n\u001B\[0m$/,
    );
    expect(stderr).toBe(
      "The command '/bin/sh -c echo before; sleep 1; echo why >&2; exit 42' returned a non-zero code: 42\n",
    );
    const wrong = await docker.start(['build', '-'], { input: 'FROM box:1\nRUNN x\n' }).ended;
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('unknown instruction: RUNN')]);
  });

  it('takes names away, and says what is not there', async () => {
    await docker.said('tag', 'acme/app:1', 'acme/app:gone');
    expect(await docker.said('rmi', 'acme/app:gone')).toBe('Untagged: acme/app:gone\n');
    const missing = await docker.run('history', 'acme/app:gone');
    expect([missing.code, missing.stderr]).toEqual([1, 'Error response from daemon: No such image: acme/app:gone\n']);
    expect((await docker.run('push', `${farm.registry.host}/no/such:1`)).stderr).toContain(
      `An image does not exist locally with the tag: ${farm.registry.host}/no/such`,
    );
    expect((await docker.run('ps')).stderr).toContain('a build farm builds, lists, tags and pushes images');
  });

  it('signs in at registries that take it, and keeps nothing of others', async () => {
    const own = new Docker(docker.program, host, await farm.folder());
    const login = (password: string, at: string) => own.run('login', '-u', 'ci', '-p', password, at);
    expect(await login('wrong', secured.host)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Error response from daemon: .* answered 401 .*authentication required/) as unknown,
    });
    expect(await login('secret', '127.0.0.1:2')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is at a loopback or private address') as unknown,
    });
    expect(await login('secret', '127.0.0.1:1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('127.0.0.1:1 cannot be reached') as unknown,
    });
    await expect(readFile(`${own.dir}/.docker/config.json`)).rejects.toThrow('ENOENT');
    expect(await login('secret', secured.host)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Login Succeeded') as unknown,
    });
    const image = `${secured.host}/acme/private:1`;
    await own.start(['build', '-t', image, '-'], { input: 'FROM box:1\nLABEL kept=here' }).ended;
    expect(await own.said('push', image)).toMatch(/1: digest: sha256:/);
    expect((await docker.run('push', image)).stderr).toContain('401');
  });

  it('is told what has no effect, and uses the results in an image that is named', async () => {
    const image = `${farm.registry.host}/acme/cached:1`;
    const args = ['build', '--cache-from', image, '--security-opt', 'seccomp=unconfined', '-'];
    const told = (await docker.start(args, { input: 'FROM box:1\nLABEL cached=yes' }).ended).stdout;
    expect(told).toMatch(/^\[Warning\] --security-opt has no effect: [^\n]*\n/m);
    expect(told).toMatch(/\[Warning\] .*acme\/cached:1/);
    expect(told).toContain('Successfully built');
  });

  it('interrupted, ends the build', async () => {
    const slow = await farm.folder();
    await write(slow, { Dockerfile: 'FROM box:1\nRUN echo begun && sleep 600\n' });
    const { child, ended, seen } = docker.start(['build', slow]);
    while (!seen().includes('begun')) await delay(20);
    child.kill('SIGINT');
    await ended;
    const State = z.object({ state: z.string() });
    const newest = 'SELECT state FROM builds WHERE parent_id IS NULL ORDER BY created_at DESC LIMIT 1';
    while ((await farm.db.query(State, newest))[0]?.state === 'running') await delay(20);
    expect(await farm.db.query(State, newest)).toEqual([{ state: 'cancelled' }]);
  });

  it('knows what the triggers of a base gave, and what other stages did', async () => {
    const base = `${farm.registry.host}/acme/trigger:1`;
    const triggers = ['ENV A=1', 'RUN echo trigger > /t', 'LABEL x=y'];
    const input = ['FROM box:1', ...triggers.map((each) => `ONBUILD ${each}`)].join('\n');
    await docker.start(['build', '-t', base, '-'], { input }).ended;
    await docker.said('push', base);
    const child = [`FROM ${base} AS one`, 'ENV B=1', 'FROM box:1', 'COPY --from=one /t /', 'CMD ["x"]'].join('\n');
    const build = async (name: string) =>
      (await docker.start(['build', '-t', name, '-'], { input: child }).ended).stdout;
    expect(await build('acme/child:1')).toContain('Running in');
    const again = await build('acme/other-child:1');
    expect(again).not.toContain('Running in');
    expect(again.match(/Using cache/g)).toHaveLength(6);
    const anew = await docker.start(['build', '--no-cache', '-'], { input: child }).ended;
    expect(anew.stdout).not.toContain('Using cache');
    expect(anew.code).toBe(0);
  });

  it('builds a Dockerfile that is not of the context, again from the cache', async () => {
    const [outside, files] = [await farm.folder(), await farm.folder()];
    const text = 'FROM box:1\nCOPY . /all/\nRUN cat /all/.dockerignore\n';
    await write(outside, { Dockerfile: text });
    await write(files, { '.dockerignore': 'junk\n', junk: 'x', kept: 'y' });
    const piped = async () => (await docker.start(['build', '-f', '-', files], { input: text }).ended).stdout;
    const told = await piped();
    expect(told).toMatch(/Running in [0-9a-f]{12}\njunk\nRemoving/);
    const again = await piped();
    expect(again.match(/Using cache/g)).toHaveLength(2);
    expect(ids(again)).toEqual(ids(told));
    expect((await docker.said('build', '-f', `${outside}/Dockerfile`, files)).match(/Using cache/g)).toHaveLength(2);
  });
});

describe('the newest client', () => {
  it('builds stages, targets and arguments, quietly or not, from files and from standard input', async () => {
    const own = await ownDocker();
    const newest = new Docker(own ?? docker.program, host, await farm.folder());
    const stages = await farm.folder();
    await write(stages, {
      Dockerfile: [
        'ARG BASE=box:1',
        'FROM $BASE AS tools',
        'ARG WORD=none',
        'RUN echo $WORD > /word',
        'FROM $BASE AS last',
        'COPY --from=tools /word /',
        'FROM last',
        'RUN exit 1',
      ].join('\n'),
    });
    const args = [
      'build',
      '--target',
      'last',
      '--build-arg',
      'WORD=given',
      '--label',
      'a=b',
      '-t',
      'acme/word:1',
      stages,
    ];
    expect((await newest.said(...args)).replaceAll(/[0-9a-f]{12}/g, 'ID')).toContain(
      [
        'Step 1/6 : ARG BASE=box:1',
        'Step 2/6 : FROM $BASE AS tools',
        ' ---> ID',
        'Step 3/6 : ARG WORD=none',
        ' ---> Running in ID',
        'Removing intermediate container ID',
        ' ---> ID',
        'Step 4/6 : RUN echo $WORD > /word',
        ' ---> Running in ID',
        'Removing intermediate container ID',
        ' ---> ID',
        'Step 5/6 : FROM $BASE AS last',
        ' ---> ID',
        'Step 6/6 : COPY --from=tools /word /',
        ' ---> ID',
        'Successfully built ID',
        'Successfully tagged acme/word:1',
      ].join('\n'),
    );
    const again = await newest.said(...args);
    expect(again.match(/Using cache/g)).toHaveLength(3);
    const quiet = await newest.said(...args.slice(0, 1), '-q', ...args.slice(1));
    expect(quiet).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(await newest.said('image', 'inspect', '--format', '{{.Id}} {{.Config.Labels.a}}', 'acme/word:1')).toBe(
      `${quiet.trim()} b\n`,
    );
    const piped = newest.start(['build', '-q', '-f', '-', context], { input: 'FROM box:1\nCOPY app/main /m\n' });
    expect(await piped.ended).toMatchObject({ code: 0 });
  });
});

describe('without the proxy, by TLS', () => {
  it('shows the token that the client’s configuration has, and is nobody without it', async () => {
    const [certificates, own, nobody] = [await farm.folder(), await farm.folder(), await farm.folder()];
    const { pem, certificate, key } = await makeCertificate(certificates, 'farm');
    await copyFile(certificate, `${certificates}/ca.pem`);
    await write(own, {
      '.docker/config.json': JSON.stringify({ HttpHeaders: { Authorization: `Bearer ${farm.token}` } }),
    });
    const gate = createServer({ cert: pem, key: await readFile(key) }, (from, to) => {
      const onwards = request(
        `${farm.url}${from.url ?? ''}`,
        { method: from.method, headers: from.headers },
        (answer) => {
          to.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(to);
        },
      );
      from.pipe(onwards);
      to.on('close', () => onwards.destroy());
    });
    gate.listen(0, '127.0.0.1');
    await once(gate, 'listening');
    try {
      const address = gate.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      const settings = { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certificates };
      for (const program of [docker.program, (await ownDocker()) ?? docker.program]) {
        const client = (dir: string) => new Docker(program, `tcp://127.0.0.1:${port}`, dir, settings);
        const told = await client(own).said('build', '-t', 'acme/app:1', context);
        expect(told.match(/Using cache/g)).toHaveLength(6);
        expect((await client(nobody).run('images')).stderr).toContain('there is no bearer token');
      }
    } finally {
      gate.closeAllConnections();
      gate.close();
    }
  });
});

describe('kiln proxy', () => {
  const ask = (method: string, path: string, headers: Readonly<Record<string, string>> = {}) =>
    new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
      const { hostname, port } = new URL(host);
      request({ host: hostname, port, method, path, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      })
        .on('error', reject)
        .end();
    });

  it('gives the token to docker’s clients alone: no page in a browser, no other name, no other path', async () => {
    expect(await ask('GET', '/_ping')).toEqual({ status: 200, text: 'OK' });
    expect(await ask('GET', '/v1.41/info', { origin: 'https://evil.example.com' })).toMatchObject({ status: 403 });
    expect(await ask('GET', '/v1.41/info', { 'sec-fetch-mode': 'no-cors' })).toMatchObject({ status: 403 });
    expect(await ask('GET', '/v1.41/info', { host: 'rebound.example.com' })).toMatchObject({ status: 403 });
    for (const [method, path] of [
      ['GET', '/v1/builds'],
      ['POST', '/v1/tokens'],
      ['GET', '/'],
      ['GET', '/engine/1.41/info'],
      ['GET', '/v1.41/../v1/builds'],
      ['GET', '/v1.41/%2e%2e/v1/builds'],
      ['GET', '/v1.41\\..\\v1/builds'],
      ['GET', '//evil.example.com/v1.41/info'],
      ['DELETE', '/v1/images/acme%2Fapp'],
    ] as const) {
      const { status, text } = await ask(method, path);
      expect([path, status]).toEqual([path, 404]);
      expect(text).not.toContain('"builds"');
    }
    const newer = await ask('GET', '/v1.99/info');
    expect(newer.status).toBe(400);
    expect(newer.text).toContain('too new');
  });

  it('is no way past the farm’s own rules: without a token nothing is told', async () => {
    const direct = async (path: string, init: RequestInit = {}) => await fetch(`${farm.url}${path}`, init);
    expect((await direct('/_ping')).headers.get('api-version')).toBe('1.51');
    for (const path of [
      '/v1.41/info',
      '/version',
      '/images/json',
      '/images/acme/app:1/json',
      '/v1.41/images/acme/app:1/history',
    ])
      expect([path, (await direct(path)).status]).toEqual([path, 401]);
    for (const path of ['/v1.41/build', '/images/acme/app:1/push', '/images/acme/app:1/tag?repo=x'])
      expect([path, (await direct(path, { method: 'POST' })).status]).toEqual([path, 401]);
    expect((await direct('/images/acme/app:1', { method: 'DELETE' })).status).toBe(401);
    const answer = await direct('/v1.41/info');
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.text()).toMatch(/^{"message":"there is no bearer token[^}]*}$/);
  });

  it('refuses an address that others reach, and says what is wrong with a farm that is away', async () => {
    const open = await farm.cli(['proxy', '--listen', '0.0.0.0:0']).ended;
    expect([open.code, open.stderr]).toEqual([2, expect.stringContaining('--allow-remote')]);
    const taken = await farm.cli(['proxy', '--listen', new URL(host).host]).ended;
    expect([taken.code, taken.stderr]).toEqual([2, expect.stringContaining('something else listens there')]);
  });

  it('listens on a socket for its user alone', async () => {
    const path = `${await farm.folder()}/kiln.sock`;
    const own = farm.cli(['proxy', '--listen', `unix://${path}`]);
    try {
      const socket = new Docker(docker.program, await listening(own), docker.dir);
      expect(await socket.said('images', '-q', 'acme/app')).toMatch(/^[0-9a-f]{12}\n/);
    } finally {
      own.child.kill('SIGINT');
    }
    expect(await own.ended).toMatchObject({ code: 130 });
  });
});
