import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { describeFailure } from './fail.ts';
import { plainSwitches } from './plain-switches.ts';
import { createProgram, runProgram } from './program.ts';

describe('the command line', () => {
  it('knows its version', () => {
    const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(text));
    expect(createProgram().version()).toBe(`kiln ${version}`);
  });

  it('takes switches as docker does', () => {
    expect(plainSwitches(['build', '--push=true', '--no-cache=0', '-t', 'x', '--', '--push=true'])).toEqual([
      'build',
      '--push',
      '-t',
      'x',
      '--',
      '--push=true',
    ]);
    expect(plainSwitches(['run', '--pull=never', '--rm=true', '--', 'x', '--rm=no'])).toEqual([
      ...['run', '--pull=never', '--rm', '--', 'x', '--rm=no'],
    ]);
    expect(() => plainSwitches(['--pull=maybe'])).toThrow('--pull is true or false');
  });

  it.each([
    ['build --platfrom x .', 'unknown flag --platfrom; did you mean --platform?\n'],
    ['build --zzz .', 'unknown flag --zzz\nsee kiln build --help\n'],
    ['build', 'missing: path\nname the directory to build, as in kiln build . – or see kiln build --help\n'],
    ['cache dux', 'unknown command dux; did you mean du?\n'],
    ['cache zzz', 'unknown command zzz\nsee kiln cache --help\n'],
    ['cache', 'a command is missing\nkiln cache --help lists them\n'],
    ['cache disown', 'missing: build\nkiln builds lists them; see kiln cache disown --help\n'],
    [
      'cache stats --by x',
      "--by <what>: 'x' is none of cause, step, dockerfile, scope, branch, day, project\nsee kiln cache stats --help\n",
    ],
    ['completion tcsh', "'tcsh' is none of bash, zsh, fish\nsee kiln completion --help\n"],
    ['context create x', 'missing: --url <url>\nsee kiln context create --help\n'],
    ['build . ..', 'build takes 1, not 2 arguments\nsee kiln build --help\n'],
    ['build -t', 'flag -t, --tag <name> needs a value\nsee kiln build --help\n'],
    ['logs', 'missing: build\nkiln builds lists them; see kiln logs --help\n'],
    // A variable of a script that is not set.
    ['logs ', '<build> is empty\nsee kiln logs --help\n'],
    ['run  x', '<image> is empty\nsee kiln run --help\n'],
    ['rmi x ', '<images> is empty\nsee kiln rmi --help\n'],
    ['buildx .', 'unknown command buildx; did you mean build or builds?\n'],
    ['volumes', 'unknown command volumes\nsee kiln --help\n'],
    ['build --cpuset-cpus 1 .', '--cpuset-cpus is not supported yet\n--cpus limits the processors of RUN steps\n'],
    ['build --rm --force-rm=true --squash=true .', /^--squash is not supported yet\n/],
  ])('kiln %s', async (line, text) => {
    // Of a command without its second word the help is shown as well.
    const quiet = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const thrown = await runProgram(line.split(' ')).then(
      () => undefined,
      (reason: unknown) => describeFailure(reason),
    );
    quiet.mockRestore();
    expect(thrown?.code).toBe(2);
    if (typeof text === 'string') expect(thrown?.text).toBe(text);
    else expect(thrown?.text).toMatch(text);
  });

  it('shows no stack of its own errors unless it is asked to', () => {
    const thrown = new Error('lost');
    expect(describeFailure(thrown)).toEqual({ code: 1, text: expect.not.stringContaining('program.spec') as string });
    expect(describeFailure(thrown, true).text).toContain('program.spec');
  });

  it('hides what it refuses', () => {
    const help =
      createProgram()
        .commands.find((each) => each.name() === 'build')
        ?.helpInformation() ?? '';
    expect(help).toContain('--secret');
    expect(help).not.toMatch(/--squash|--rm\b|--debug/);
  });
});
