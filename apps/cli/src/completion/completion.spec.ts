import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../program.ts';
import { candidates } from './candidates.ts';
import { scripts } from './scripts.ts';

const of = (line: string) => {
  const { values, more, prefix } = candidates(createProgram(), line.split(' '));
  return { values: values.map(({ value }) => value), more, prefix };
};

describe('what may stand where the cursor is', () => {
  it.each([
    ['bui', ['build', 'builder', 'builds']],
    ['context ', ['ls', 'show', 'use', 'create', 'update', 'rm', 'help']],
    ['cache d', ['du', 'disown']],
    ['build --pl', ['--platform']],
    ['build --con', ['--context']],
    ['build --progress p', ['plain']],
    ['build --progress=p', ['--progress=plain']],
    ['build . -o type=o', ['type=oci']],
    ['build -t x . --network h', ['host']],
    ['cache stats --by d', ['dockerfile', 'day']],
    ['builds --filter state=f', ['state=failed']],
    ['builds --filter i', ['image=']],
    ['completion z', ['zsh']],
    ['--context team context u', ['use', 'update']],
    ['build -- --pl', []],
    ['build --squ', []],
    ['nonsense --x', []],
  ])('kiln %s', (line, values) => {
    expect(of(line).values).toEqual(values);
  });

  it.each([
    ['build ', 'directories', ''],
    ['build -f ', 'files', ''],
    ['build --file=', 'files', '--file='],
    ['status --data ', 'directories', ''],
    ['logs ', 'builds', ''],
    ['logs x ', 'nothing', ''],
    ['cache disown --step 4 ', 'builds', ''],
    ['context use ', 'contexts', ''],
    ['context rm a ', 'contexts', ''],
    ['builds --context ', 'contexts', ''],
    ['builds --context=', 'contexts', '--context='],
    ['token create ', 'nothing', ''],
    ['bake ', 'targets', ''],
    ['bake -f x.hcl app ', 'targets', ''],
    ['build . --target ', 'stages', ''],
    ['build --target=', 'stages', '--target='],
  ])('kiln %s: %s', (line, more, prefix) => {
    expect(of(line)).toMatchObject({ more, prefix });
  });
});

describe('bash', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kiln-completion-'));
    await mkdir(join(folder, 'kiln'));
    await mkdir(join(folder, 'app one'));
    await writeFile(join(folder, 'Dockerfile.dev'), 'FROM a AS base\n from base as  tests \nFROM base\n');
    await writeFile(join(folder, 'kiln', 'config.json'), '{"contexts":{"team":{"url":"http://127.0.0.1:1"}}}');
    await writeFile(join(folder, 'docker-bake.hcl'), 'target "web" {}\ntarget "work" {}\ntarget "_own" {}\n');
    await writeFile(join(folder, 'broken.hcl'), 'target {');
    await writeFile(join(folder, 'kiln.bash'), scripts.bash);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** What bash offers with the cursor at the end of each line. */
  async function offered(lines: readonly string[]): Promise<readonly string[]> {
    const main = fileURLToPath(new URL('../main.ts', import.meta.url));
    const script = `kiln() { "$NODE" --conditions=kiln-source "$MAIN" "$@"; }
      source ./kiln.bash
      while IFS= read -r line; do
        COMP_LINE=$line COMP_POINT=\${#line}; _kiln; IFS='|'; printf '%s\\n' "\${COMPREPLY[*]}"
      done <<<"$LINES_TO_TRY"`;
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-uc', script], {
      cwd: folder,
      env: {
        ...{ PATH: process.env['PATH'], NODE: process.execPath, MAIN: main, XDG_CONFIG_HOME: folder },
        LINES_TO_TRY: lines.join('\n'),
      },
    });
    return stdout.trimEnd().split('\n');
  }

  it('offers what kiln says', { timeout: 60_000 }, async () => {
    const wanted = {
      'kiln build --progress=pl': 'plain',
      'kiln builds --context=': 'default|team',
      'kiln build --file Dock': 'Dockerfile.dev',
      'kiln build ap': 'app one',
      // No farm is there, and nothing is said.
      'kiln logs --context team ': '',
      'kiln bake w': 'web|work',
      'kiln bake -f broken.hcl w': '',
      'kiln build --file=Dockerfile.dev --target t': 'tests',
      'kiln can': 'cancel',
    };
    expect(await offered(Object.keys(wanted))).toEqual(Object.values(wanted));
  });
});
