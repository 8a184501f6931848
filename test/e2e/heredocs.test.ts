import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, type SeenImage } from './image.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

async function built(dockerfile: string): Promise<SeenImage> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile, 'file.txt': 'from the context\n' });
  const layout = join(dir, 'layout.tar');
  await farm.build(dir, '-o', `type=oci,dest=${layout}`);
  return await see(`oci-archive:${layout}`, await farm.folder());
}

describe('here-documents', () => {
  it('run as scripts, as programs, and as input of commands', async () => {
    const { root } = await built(`FROM box:1
USER web
RUN <<EOF
  set -e
  echo "$(id -un)" > /tmp/script
  echo two >> /tmp/script
EOF
USER root
RUN <<one cat - <<two > /tmp/input
unused
one
from two
two
RUN <<'prog'
#!/bin/sh -eu
echo "ran as $0" > /tmp/program
ls -l /dev/pipes/prog | cut -c1-10 >> /tmp/program
! echo x > /dev/pipes/prog
prog
`);
    expect(await readFile(join(root, 'tmp/script'), 'utf8')).toBe('web\ntwo\n');
    expect(await readFile(join(root, 'tmp/input'), 'utf8')).toBe('from two\n');
    expect(await readFile(join(root, 'tmp/program'), 'utf8')).toBe('ran as /dev/pipes/prog\n-rwxr-xr-x\n');
    expect(await readdir(join(root, 'dev')).catch(() => [])).toEqual([]);
    expect(await readdir(join(farm.dir, 'builder-one', 'run', 'bundles'))).toEqual([]);
  });

  it('are copied as files, with owner and mode, beside others', async () => {
    const { root } = await built(`FROM box:1
ARG who=kiln
COPY <<EOF /etc/greeting
hello $who
EOF
ADD --chmod=640 --chown=web:web <<a.sh file.txt <<"b.sh" /deep/er/
echo $who
a.sh
echo $who
b.sh
COPY <<empty /etc/
empty
`);
    expect(await readFile(join(root, 'etc/greeting'), 'utf8')).toBe('hello kiln\n');
    expect(await stat(join(root, 'etc/greeting'))).toMatchObject({ mode: 0o100644, uid: 0, gid: 0 });
    expect(await readFile(join(root, 'deep/er/a.sh'), 'utf8')).toBe('echo kiln\n');
    expect(await readFile(join(root, 'deep/er/b.sh'), 'utf8')).toBe('echo $who\n');
    expect(await readFile(join(root, 'deep/er/file.txt'), 'utf8')).toBe('from the context\n');
    expect(await stat(join(root, 'deep/er/a.sh'))).toMatchObject({ mode: 0o100640, uid: 1000, gid: 1000 });
    expect(await readFile(join(root, 'etc/empty'), 'utf8')).toBe('');
  });

  it('are hits as long as their text is the same', async () => {
    const dir = await farm.folder();
    const text = (body: string): string =>
      `FROM box:1\nCOPY <<EOF /x\n${body}\nEOF\nRUN <<EOF\n#!/bin/sh\ncat /x\nEOF\n`;
    await write(dir, { Dockerfile: text('one') });
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 2 });
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 0, hit: 2 });
    await write(dir, { Dockerfile: text('two') });
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 2 });
  });
});
