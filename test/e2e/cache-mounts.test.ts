import { setTimeout as delay } from 'node:timers/promises';
import { type NewScope, Permission, ProjectStore, TokenStore } from '#storage';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { Farm } from './farm.ts';

let farm: Farm;
const scopes = new Map<string, string>();
beforeAll(async () => {
  farm = await Farm.start();
  await scope('branch', { parent: 'main' });
  await scope('fork', { parent: 'main', trust: 'fork' });
});
afterAll(() => farm[Symbol.asyncDispose]());
afterEach(({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(farm.logs());
});

async function scope(name: string, options: NewScope): Promise<void> {
  const ids = await new ProjectStore(farm.db).ensure('default', name, options);
  scopes.set(name, await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options }));
}

/** From now on builds run on a builder that has nothing. */
let builder = 'one';
let builders = 1;
async function freshBuilder(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  await farm.stopBuilder(builder, signal);
  builder = `fresh-${++builders}`;
  await farm.startBuilder(builder);
}

interface Step {
  readonly code: number | null;
  readonly said: string;
}

async function run(mount: string, command: string, token = 'main'): Promise<Step> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: `FROM box:1\nRUN --mount=type=cache,${mount} ${command}\n` });
  const env = { KILN_TOKEN: scopes.get(token) ?? farm.token };
  const { code, stdout, stderr } = await farm.kilnBuild([dir, '--no-cache', '--progress=plain'], { env });
  return { code, said: stdout + stderr };
}

const Published = z.object({ count: z.string().transform(Number) });
/** Publishing goes on beside what comes next. */
async function published(id: string, count: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const [row] = await farm.db.query(
      Published,
      `SELECT coalesce(max(v.version), 0)::text AS count FROM cache_mount_versions v
       JOIN cache_mounts m USING (project_id, scope_id, mount) WHERE m.id = $1`,
      [id],
    );
    if ((row?.count ?? 0) >= count) return;
    await delay(20);
  }
  throw new Error(`version ${count} of ${id} did not come`);
}

const ok = async (step: Promise<Step>): Promise<string> => {
  const { code, said } = await step;
  expect(code, said).toBe(0);
  return said;
};

describe('a cache mount', () => {
  it('is there on a builder that has never seen it: files, modes, owners, links, times', async () => {
    const fill = [
      'mkdir -p /c/d && echo text > /c/d/f && chmod 640 /c/d/f && chown 5:6 /c/d/f && ln -s d/f /c/link',
      'ln /c/d/f /c/hard && touch -d "2020-01-01 00:00:00" /c/d/f && head -c 3000000 /dev/urandom > /c/big && sha256sum /c/big',
    ].join(' && ');
    const made = await ok(run('id=whole,target=/c', fill));
    await published('whole', 1);
    await freshBuilder();
    const look = 'stat -c "%a %u:%g %h %Y" /c/d/f && cat /c/link && cat /c/hard && sha256sum /c/big';
    const seen = await ok(run('id=whole,target=/c', look));
    expect(seen).toMatch(/ 640 5:6 2 1577836800\n#\d+ [\d.]+ text\n#\d+ [\d.]+ text\n/);
    const sum = /([0-9a-f]{64}) {2}\/c\/big/;
    expect(sum.exec(seen)?.[1]).toBe(sum.exec(made)?.[1]);
  });

  it('is what the last step that succeeded left: failed ones leave nothing to others', async () => {
    await ok(run('id=last,target=/c', 'echo 1 >> /c/f'));
    await published('last', 1);
    await ok(run('id=last,target=/c', 'echo 2 >> /c/f'));
    await published('last', 2);
    expect((await run('id=last,target=/c', 'echo 3 >> /c/f; exit 1')).code).toBe(1);
    await freshBuilder();
    expect(await ok(run('id=last,target=/c', 'tr "\\n" , < /c/f'))).toContain(' 1,2,');
  });

  it('of a builder that is lost in a step is what it was before', async () => {
    await ok(run('id=lost,target=/c', 'echo 1 >> /c/f'));
    await published('lost', 1);
    const running = run(
      'id=lost,target=/c',
      'test "$(wc -l < /c/f)" = 1 && echo half >> /c/f && echo begun && sleep 3',
    );
    await delay(1_500);
    await freshBuilder('SIGKILL');
    expect(await ok(running)).toContain('begun');
    await published('lost', 2);
    await freshBuilder();
    expect(await ok(run('id=lost,target=/c', 'tr "\\n" , < /c/f'))).toContain(' 1,half,');
  });

  it('of a branch begins with the branch’s that it inherits, and goes no way up; a fork’s neither', async () => {
    await ok(run('id=scoped,target=/c', 'echo main >> /c/f'));
    await published('scoped', 1);
    await freshBuilder();
    for (const name of ['branch', 'fork']) {
      expect(await ok(run('id=scoped,target=/c', `echo ${name} >> /c/f; tr "\\n" , < /c/f`, name))).toContain(
        ` main,${name},`,
      );
    }
    await delay(500);
    await freshBuilder();
    expect(await ok(run('id=scoped,target=/c', 'tr "\\n" , < /c/f'))).toMatch(/ main,\n/);
    expect(await ok(run('id=scoped,target=/c', 'tr "\\n" , < /c/f', 'branch'))).toContain(' main,branch,');
  });

  it('whose blobs are gone is empty, and the step runs', async () => {
    await ok(run('id=gone,target=/c', 'echo there > /c/f'));
    await published('gone', 1);
    const Blob = z.object({ blob: z.string() });
    const blobs = await farm.db.query(
      Blob,
      `SELECT unnest(v.blobs) AS blob FROM cache_mount_versions v JOIN cache_mounts m USING (project_id, scope_id, mount)
       WHERE m.id = 'gone'`,
    );
    await farm.content.remove(new Set(blobs.map(({ blob }) => blob as `sha256:${string}` as never)));
    await freshBuilder();
    const said = await ok(run('id=gone,target=/c', 'ls /c | wc -l; echo anew > /c/f'));
    expect(said).toMatch(/^#\d+ [\d.]+ 0$/m);
    await published('gone', 2);
    await freshBuilder();
    expect(await ok(run('id=gone,target=/c', 'cat /c/f'))).toContain(' anew');
  });
});
