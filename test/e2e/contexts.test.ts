import { execFile } from 'node:child_process';
import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GitServer, WebServer } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm, type Metadata } from './farm.ts';
import { see, type SeenImage, textIn } from './image.ts';

const run = promisify(execFile);

let farm: Farm;
let web: WebServer;
let git: GitServer;
beforeAll(async () => {
  web = await WebServer.start();
  git = await GitServer.start();
  farm = await Farm.start({ egressAllow: [web.host, git.host] });
});
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await git[Symbol.asyncDispose]();
});

async function folder(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await farm.folder();
  await write(dir, files);
  return dir;
}

type Built = SeenImage & { readonly made: Metadata['kiln.build'] };

async function built(dockerfile: string, contexts: readonly string[], ...args: readonly string[]): Promise<Built> {
  const layout = join(await farm.folder(), 'layout.tar');
  const flags = contexts.flatMap((context) => ['--build-context', context]);
  const dir = await folder({ Dockerfile: dockerfile });
  const made = await farm.build(dir, '-o', `type=oci,dest=${layout}`, ...flags, ...args);
  return { ...(await see(`oci-archive:${layout}`, await farm.folder())), made: made['kiln.build'] };
}

describe('a named context', () => {
  it('is a directory, without what its .dockerignore leaves out', async () => {
    const extra = await folder({
      'top.txt': 't',
      'sub/a': 'a',
      ignored: 'i',
      '.dockerignore': 'ignored\n',
      Dockerfile: 'd',
    });
    const image = await built('FROM box:1\nCOPY --from=Extra sub/ /sub/\nCOPY --from=extra . /all/\n', [
      `extra=${extra}`,
    ]);
    expect(await textIn(image, 'sub/a')).toBe('a');
    expect(await textIn(image, 'all/top.txt')).toBe('t');
    expect(await lstat(join(image.root, 'all/ignored')).catch(() => undefined)).toBeUndefined();
  });

  it('hits as long as what is taken from it is the same', async () => {
    const extra = await folder({ a: '1', b: '1' });
    const dockerfile = 'FROM scratch\nCOPY --from=x a /a\n';
    await built(dockerfile, [`x=${extra}`]);
    await writeFile(join(extra, 'b'), '2');
    expect((await built(dockerfile, [`x=${extra}`])).made.steps).toMatchObject({ hit: 1, run: 0 });
    await writeFile(join(extra, 'a'), '2');
    expect((await built(dockerfile, [`x=${extra}`])).made.steps).toMatchObject({ run: 1 });
  });

  it('replaces an image, a stage, and what FROM stands on', async () => {
    const extra = await folder({ file: 'from extra' });
    const contexts = [`myorg/base:9=docker-image://box:1`, `other/thing=${extra}`, `stage=${extra}`];
    const image = await built(
      'FROM nowhere.example.com/missing AS stage\nRUN never\nFROM MYORG/base:9\nRUN echo ran > /ran\nCOPY --from=other/thing file /n\nCOPY --from=stage file /s\n'.replace(
        'MYORG',
        'myorg',
      ),
      contexts,
    );
    expect(await textIn(image, 'ran')).toBe('ran\n');
    expect([await textIn(image, 'n'), await textIn(image, 's')]).toEqual(['from extra', 'from extra']);
    const base = await built(
      'FROM other/thing\nENV A=b\nCOPY --from=box:1 /bin/busybox /bin/sh\nRUN ["/bin/sh", "-c", "echo hi > /hi"]\n',
      contexts,
    );
    expect(await textIn(base, 'file')).toBe('from extra');
    expect(await textIn(base, 'hi')).toBe('hi\n');
    expect(base.layers.length).toBe(3);
    expect(base.config.history?.map((entry) => entry.empty_layer ?? false)).toEqual([true, false, false, false]);
  });

  it('is an image in a layout of the client’s', async () => {
    const layout = join(await farm.folder(), 'layout');
    await mkdir(layout);
    await run('skopeo', [
      'copy',
      '--src-tls-verify=false',
      `docker://${farm.mirror.host}/library/box:1`,
      `oci:${layout}:v1`,
    ]);
    for (const spelt of [layout, `${layout}:v1`]) {
      const image = await built('FROM base\nRUN id -un > /who\n', [`base=oci-layout://${spelt}`]);
      expect(await textIn(image, 'who')).toBe('root\n');
    }
    const wrong = await farm.cli([
      'build',
      await folder({ Dockerfile: 'FROM base\n' }),
      '--build-context',
      `base=oci-layout://${layout}:v2`,
    ]).ended;
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('there are: v1') as string });
  });

  it('is a git repository or a file by URL', async () => {
    await git.commit('ctx', { 'dir/a': 'in git' });
    web.files.set('/page', { body: 'a page' });
    const image = await built('FROM repo\nCOPY --from=page context /page\n', [
      `repo=${git.url('ctx')}#main:dir`,
      `page=${web.url('/page')}`,
    ]);
    expect([await textIn(image, 'a'), await textIn(image, 'page')]).toEqual(['in git', 'a page']);
  });

  it('is refused by name where it cannot be', async () => {
    const dir = await folder({ Dockerfile: 'FROM scratch\n' });
    for (const [value, message] of [
      ['nothing', /not name=value/],
      ['a=/does/not/exist', /cannot be read/],
      ['a=target://x', /not supported/],
      ['scratch=.', /scratch cannot be replaced/],
      ['A B=.', /no name of a stage/],
      ['a=ftp://x', /not known/],
    ] as const) {
      const { code, stderr } = await farm.cli(['build', dir, '--build-context', value]).ended;
      expect({ code, stderr }, value).toEqual({ code: 2, stderr: expect.stringMatching(message) as string });
    }
  });
});
