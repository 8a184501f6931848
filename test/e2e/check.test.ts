import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import type { Ran } from './kiln-in-process.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

async function run(files: Readonly<Record<string, string>>, args: readonly string[]): Promise<Ran> {
  const dir = await farm.folder();
  await write(dir, files);
  return await farm.kilnBuild([dir, ...args]);
}

const twoFindings = 'FROM box:1 as base\nMAINTAINER me\n';

describe('kiln build --check', () => {
  it('shows what was found as docker does, and ends with 1', async () => {
    const { code, stdout } = await run({ Dockerfile: twoFindings }, ['--check', '-t', 'x', '--push']);
    expect(stdout).toBe(`Check complete, 2 warnings have been found!

WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/
'as' and 'FROM' keywords' casing do not match
Dockerfile:1
--------------------
   1 | >>> FROM box:1 as base
   2 |     MAINTAINER me
   3 |${' '.repeat(5)}
--------------------

WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:2
--------------------
   1 |     FROM box:1 as base
   2 | >>> MAINTAINER me
   3 |${' '.repeat(5)}
--------------------
`);
    expect(code).toBe(1);
  });

  it('ends with 0 where nothing was found, and builds nothing', async () => {
    const { code, stdout, stderr } = await run({ Dockerfile: 'FROM box:1\nRUN exit 7\n' }, ['--call=check']);
    expect([code, stdout]).toEqual([0, 'Check complete, no warnings found.\n']);
    expect(stderr).not.toMatch(/exit 7|exporting/);
  });

  it('goes on without an image that cannot be had', async () => {
    const { code, stdout, stderr } = await run({ Dockerfile: 'FROM no-such-image:9\nCMD [“x”]\nWORKDIR a\n' }, [
      '--check',
    ]);
    expect(code).toBe(1);
    expect(stdout).toContain('WARNING: WorkdirRelativePath');
    expect(stdout).toContain('WARNING: TypographicQuote\n');
    expect(stderr).toContain('no-such-image:9 cannot be looked at');
  });

  it('shows what it found before an error, and the error', async () => {
    const { code, stdout, stderr } = await run({ Dockerfile: 'FROM box:1 AS Base\nRUNN x\n' }, ['--check']);
    expect(code).toBe(1);
    expect(stdout).toContain('WARNING: StageNameCasing');
    expect(stderr).toContain('ERROR: unknown instruction: RUNN (did you mean RUN?)');
    expect(stderr).toMatch(/Dockerfile:2\n-+\n.*\n {3}2 \| >>> RUNN x/);
  });

  it('knows the context: what .dockerignore excludes, and which manifests are there', async () => {
    const files = {
      Dockerfile: 'FROM box:1\nCOPY secret.txt /\nCOPY . .\nRUN yarn install\n',
      '.dockerignore': 'secret.txt\n',
      'secret.txt': 'x',
      'package.json': '{}',
      'yarn.lock': '',
      'index.js': '',
    };
    const { stdout } = await run(files, ['--check']);
    expect(stdout).toContain('Attempting to Copy file "secret.txt" that is excluded by .dockerignore');
    expect(stdout).toContain('write COPY package.json yarn.lock ./ first, then RUN yarn install, then COPY . .');
  });

  it('gives JSON as docker does', async () => {
    const { code, stdout } = await run({ Dockerfile: twoFindings }, ['--call=check,format=json,ignorestatus=true']);
    expect(code).toBe(0);
    const lines = (line: number) => ({ ranges: [{ start: { line }, end: { line } }] });
    expect(JSON.parse(stdout)).toMatchObject({
      warnings: [
        { ruleName: 'FromAsCasing', detail: "'as' and 'FROM' keywords' casing do not match", location: lines(1) },
        { ruleName: 'MaintainerDeprecated', location: lines(2) },
      ],
      sources: [{ filename: 'Dockerfile', language: 'Dockerfile', data: Buffer.from(twoFindings).toString('base64') }],
    });
  });

  it('obeys BUILDKIT_DOCKERFILE_CHECK', async () => {
    const args = ['--check', '--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=skip=all'];
    expect((await run({ Dockerfile: twoFindings }, args)).code).toBe(0);
  });
});

describe('kiln build --call', () => {
  const described = `# version of the base
ARG version=1
FROM box:\${version} AS build
# NAME whom to greet
ARG NAME=world
ARG TAIL
# release is what is shipped
FROM build AS release
`;

  it('outline: a table of the arguments', async () => {
    const { code, stdout } = await run({ Dockerfile: described }, ['--call=outline', '--build-arg', 'TAIL=t']);
    expect(stdout).toBe(`TARGET:      release
DESCRIPTION: is what is shipped

BUILD ARG   VALUE   DESCRIPTION
version     1       of the base
NAME        world   whom to greet
TAIL        t

`);
    expect(code).toBe(0);
  });

  it('outline: JSON', async () => {
    const { stdout } = await run({ Dockerfile: described }, ['--call=outline,format=json', '--target=build']);
    expect(JSON.parse(stdout)).toEqual({
      name: 'build',
      args: [
        {
          name: 'version',
          value: '1',
          description: 'of the base',
          location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
        },
        {
          name: 'NAME',
          value: 'world',
          description: 'whom to greet',
          location: { ranges: [{ start: { line: 5 }, end: { line: 5 } }] },
        },
        { name: 'TAIL', location: { ranges: [{ start: { line: 6 }, end: { line: 6 } }] } },
      ],
      sources: [Buffer.from(described).toString('base64')],
    });
  });

  it('targets', async () => {
    const { code, stdout } = await run({ Dockerfile: described }, ['--call', 'targets']);
    expect([code, stdout]).toEqual([0, 'TARGET            DESCRIPTION\nbuild\nrelease (default) is what is shipped\n']);
    const json = await run({ Dockerfile: described }, ['--call=targets,format=json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      targets: [
        { name: 'build', base: 'box:${version}' },
        { name: 'release', default: true, base: 'build', description: 'is what is shipped' },
      ],
    });
  });

  it.each([
    [['--call=describe'], /--call=describe is not known/],
    [['--call=check,format=xml'], /format=xml/],
    [['--check', '--iidfile', 'x'], /--iidfile/],
    [['--call=outline', '--detach'], /--detach/],
  ])('%j is refused', async (args, says) => {
    const { code, stderr } = await run({ Dockerfile: 'FROM scratch\n' }, args);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
  });
});

describe('a build', () => {
  it('shows warnings with rule and line once, at the end', async () => {
    const { code, stderr } = await run({ Dockerfile: twoFindings }, ['--progress=plain']);
    expect(code).toBe(0);
    expect(stderr.split('FromAsCasing')).toHaveLength(2);
    expect(stderr).toContain(`
2 warnings found (use --check to expand):
 - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)
 - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)
`);
  });

  it('fails for its warnings with check=error=true, and lists them', async () => {
    const { code, stderr } = await run({ Dockerfile: `# check=error=true\n${twoFindings}` }, ['--progress=plain']);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'lint violation found for rules: FromAsCasing, MaintainerDeprecated (line 2: FromAsCasing:',
    );
    expect(stderr).toContain('2 warnings found (use --check to expand):');
    expect(stderr).toContain('write # check=skip=RULE above an instruction that is right as it is');
  });

  it('names the image and the trigger where a trigger fails', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: 'FROM box:1\nONBUILD COPY $x ${y:?is wanted} /\n' });
    const tag = `${farm.registry.host}/acme/triggers:1`;
    await farm.build(dir, '-t', tag, '--push');
    const { code, stderr } = await run({ Dockerfile: `FROM box:1 AS a\nFROM ${tag}\n` }, []);
    expect(code).toBe(1);
    expect(stderr).toContain(`ONBUILD trigger "COPY $x \${y:?is wanted} /" of the image ${tag}`);
    expect(stderr).toMatch(/> 2 \| FROM/);
  });
});
