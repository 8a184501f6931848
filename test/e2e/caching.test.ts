import { chmod, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, textIn } from './image.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

/** Names of the steps that a build's plain progress shows with a state. */
function shown(progress: string, state: 'CACHED' | 'DONE'): readonly string[] {
  const names = new Map([...progress.matchAll(/^#(\d+) \[[^\]]*\] (.+)$/gm)].map(([, id, name]) => [id, name ?? '']));
  return [...progress.matchAll(/^#(\d+) (CACHED|DONE)/gm)]
    .filter(([, , word]) => word === state)
    .flatMap(([, id]) => names.get(id) ?? [])
    .filter((name) => /^(RUN|COPY|ADD|WORKDIR) /.test(name));
}

async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await farm.folder();
  await write(dir, files);
  return dir;
}

describe('what runs again', () => {
  it('after a change of a file: what copies it and what follows, nothing before', async () => {
    const dir = await project({
      Dockerfile: 'FROM box:1\nRUN echo before\nCOPY . .\nRUN cat index.js\nCMD ["sh"]\n',
      'index.js': '1',
      'other.js': '2',
    });
    await farm.build(dir);
    await write(dir, { 'index.js': 'changed' });
    const again = await farm.build(dir);
    expect(shown(again.progress, 'CACHED')).toEqual(['RUN echo before']);
    expect(shown(again.progress, 'DONE')).toEqual(['COPY . .', 'RUN cat index.js']);
    expect(again['kiln.build'].steps).toEqual({ total: 3, hit: 1, run: 2, joined: 0 });
  });

  it('nothing that does not see the changed file', async () => {
    const dir = await project({
      Dockerfile: 'FROM box:1\nCOPY package*.json ./\nRUN cat package.json > installed\nCOPY . .\n',
      'package.json': '{}',
      'package-lock.json': '{}',
      'index.js': '1',
    });
    await farm.build(dir);
    await write(dir, { 'index.js': 'changed' });
    const again = await farm.build(dir);
    expect(shown(again.progress, 'DONE')).toEqual(['COPY . .']);
    expect(shown(again.progress, 'CACHED')).toEqual(['COPY package*.json ./', 'RUN cat package.json > installed']);
  });

  it('nothing after another checkout: times, owners and unseen files do not count', async () => {
    const files = {
      Dockerfile: 'FROM box:1\nCOPY . /src\nRUN ls -lR /src\n',
      '.dockerignore': 'node_modules\n',
      'a.txt': 'a',
      'node_modules/x': 'x',
    };
    const first = await farm.build(await project(files));
    const dir = await project({ ...files, 'node_modules/x': 'another', 'node_modules/y': 'more' });
    await utimes(join(dir, 'a.txt'), 1, 1);
    const again = await farm.build(dir);
    expect(again['kiln.build'].steps.run).toBe(0);
    expect(again['containerimage.config.digest']).toBe(first['containerimage.config.digest']);
  });

  it('what is older than its time to live allows, and what follows only where it gave something else', async () => {
    const dir = await project({
      Dockerfile: 'FROM box:1\n# kiln:ttl=24h\nRUN echo index > /index\nRUN cat /index > /installed\n',
    });
    const first = await farm.build(dir);
    const young = await farm.build(dir);
    expect(young['kiln.build'].steps.run).toBe(0);
    await write(dir, {
      Dockerfile: 'FROM box:1\n# kiln:ttl=1ms\nRUN echo index > /index\nRUN cat /index > /installed\n',
    });
    const old = await farm.build(dir);
    expect(shown(old.progress, 'DONE')).toEqual(['RUN echo index > /index']);
    expect(shown(old.progress, 'CACHED')).toEqual(['RUN cat /index > /installed']);
    expect(old.progress).toContain('miss: its time to live ended 20');
    expect(old['containerimage.config.digest']).toBe(first['containerimage.config.digest']);
  });

  it('what sees a changed mode', async () => {
    const dir = await project({
      Dockerfile: 'FROM box:1\nCOPY run.sh /\nRUN /run.sh\n',
      'run.sh': '#!/bin/sh\necho ran\n',
    });
    await chmod(join(dir, 'run.sh'), 0o755);
    await farm.build(dir);
    await chmod(join(dir, 'run.sh'), 0o700);
    expect((await farm.build(dir))['kiln.build'].steps.run).toBe(2);
  });

  it('no step after one that ran again and made the same', async () => {
    const dir = await project({
      Dockerfile:
        'FROM box:1 AS made\nCOPY in.txt /\nRUN wc -l < in.txt > /count\nFROM box:1\nCOPY --from=made /count /\nRUN cat /count\n',
      'in.txt': 'one\n',
    });
    await farm.build(dir);
    await write(dir, { 'in.txt': 'two\n' });
    const again = await farm.build(dir);
    expect(shown(again.progress, 'DONE')).toEqual(['COPY in.txt /', 'RUN wc -l < in.txt > /count']);
    expect(again['kiln.build'].steps).toEqual({ total: 4, hit: 2, run: 2, joined: 0 });
  });

  it('all with --no-cache, and the digest settles where the result is the same', async () => {
    const dir = await project({ Dockerfile: 'FROM box:1\nRUN echo same > /file\n' });
    const first = await farm.build(dir);
    const again = await farm.build(dir, '--no-cache');
    expect(again['kiln.build'].steps).toEqual({ total: 1, hit: 0, run: 1, joined: 0 });
    expect(again['containerimage.config.digest']).toBe(first['containerimage.config.digest']);
  });

  it('what an argument that it sees has changed', async () => {
    const dir = await project({ Dockerfile: 'FROM box:1\nRUN echo first\nARG WHO=you\nRUN echo hello $WHO\n' });
    await farm.build(dir);
    const again = await farm.build(dir, '--build-arg', 'WHO=me');
    expect(shown(again.progress, 'CACHED')).toEqual(['RUN echo first']);
    expect(again['kiln.build'].steps.run).toBe(1);
  });

  it('nothing on a builder that has never seen the project, and it fetches nothing', async () => {
    const dir = await project({ Dockerfile: 'FROM box:1\nRUN head -c 3000000 /dev/urandom > /big\nRUN echo after\n' });
    const tag = `${farm.registry.host}/acme/fresh:1`;
    const first = await farm.build(dir, '-t', tag, '--push');
    await farm.stopBuilder('one', 'SIGTERM');
    await farm.startBuilder('fresh');
    try {
      const again = await farm.build(dir, '-t', tag, '--push');
      expect(again['containerimage.digest']).toBe(first['containerimage.digest']);
      expect(again['kiln.build'].steps.run).toBe(0);
      expect(again['kiln.build'].bytes).toMatchObject({ pulled: 0, pushed: 0 });
    } finally {
      await farm.stopBuilder('fresh', 'SIGTERM');
      await farm.startBuilder('one');
    }
  });

  it('a step whose layer was lost or damaged in the store, once it is needed', async () => {
    const dir = await project({ Dockerfile: 'FROM box:1\nRUN echo lost > /lost\nRUN echo kept > /kept\n' });
    let built = await farm.build(dir);
    for (const damage of ['gone', 'other bytes']) {
      const blobs = await layerFiles(built['kiln.build'].id);
      for (const path of blobs) {
        if (damage === 'gone') await rm(path);
        else await writeFile(path, damage);
      }
      const file = join(await farm.folder(), 'image.tar');
      const again = await farm.build(dir, '--output', `type=oci,dest=${file}`);
      expect(again['kiln.build'].steps.run, damage).toBe(2);
      const image = await see(`oci-archive:${file}`, await farm.folder());
      expect([await textIn(image, 'lost'), await textIn(image, 'kept')], damage).toEqual(['lost\n', 'kept\n']);
      built = again;
    }
  });
});

/** The files of all layers that a build made. */
async function layerFiles(buildId: string): Promise<readonly string[]> {
  const row = z.object({ digest: z.string() });
  const rows = await farm.db.query(
    row,
    "SELECT layers->-1->'descriptor'->>'digest' AS digest FROM results WHERE producer_build = $1",
    [buildId],
  );
  return rows
    .map(({ digest }) => digest.slice('sha256:'.length))
    .map((hex) => join(farm.dir, 'content/sha256', hex.slice(0, 2), hex));
}

describe('kiln cache stats', () => {
  it('counts what builds found and ran, and why', async () => {
    const dir = await project({ Dockerfile: 'FROM box:1\nCOPY f /f\nRUN echo counted > /g\n', f: '1' });
    await farm.build(dir);
    await farm.build(dir);
    await write(dir, { f: '2' });
    await farm.build(dir);
    const { code, stdout } = await farm.cli(['cache', 'stats']).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Cache of the project default since \d{4}-\d\d-\d\d$/m);
    expect(stdout).toMatch(/^WHY STEPS RAN +STEPS +SPENT$/m);
    expect(stdout).toMatch(/^files changed +[1-9]/m);
    const json = await farm.cli(['cache', 'stats', '--by', 'step', '--json', '-n', '1000']).ended;
    expect(JSON.parse(json.stdout)).toMatchObject({
      groups: expect.arrayContaining([
        expect.objectContaining({ name: 'RUN echo counted > /g', hits: 1, misses: 2, followed: 1 }),
      ]) as unknown,
    });
    const bad = await farm.cli(['cache', 'stats', '--days', 'many']).ended;
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain('--days');
  });
});
