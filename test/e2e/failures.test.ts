import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import type { Ran } from './kiln-in-process.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

/** The farm goes on, whatever a build did. */
afterEach(async () => {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: 'FROM box:1\nRUN true\n' });
  await farm.build(dir);
});

async function fail(dockerfile: string, args: readonly string[] = []): Promise<Ran> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile, 'file.txt': 'x' });
  return await farm.cli(['build', dir, ...args]).ended;
}

describe('a build that fails', () => {
  it('for a failing RUN: line, neighbours, last output, exit code', async () => {
    const { code, stderr } = await fail('FROM box:1\nRUN echo fine\nRUN echo the last words && exit 7\nCMD ["sh"]\n');
    expect(code).toBe(1);
    expect(stderr).toMatch(/the last words/);
    expect(stderr).toMatch(/Dockerfile:3/);
    expect(stderr).toMatch(/2 \| RUN echo fine/);
    expect(stderr).toMatch(/> 3 \| RUN echo the last words/);
    expect(stderr).toMatch(/4 \| CMD/);
    expect(stderr).toMatch(/exit code: 7|exited with 7/);
  });

  it.each([
    ['an unknown instruction', 'FROM box:1\nRUNN true\n', 2, /RUNN/i],
    ['a syntax error', 'FROM box:1\nCOPY onlyone\n', 2, /COPY/],
    ['a missing source', 'FROM box:1\nRUN true\nCOPY fil.txt /\n', 3, /fil\.txt/],
    ['an unknown command', 'FROM box:1\nRUN ["no-such-program"]\n', 2, /no-such-program/],
    ['a device that is not there', 'FROM box:1\nRUN --device=vendor.com/x=y,required true\n', 2, /vendor\.com\/x=y/],
    ['an unknown user', 'FROM box:1\nUSER nobodyhere\nRUN true\n', 3, /nobodyhere/],
    ['an image that is not there', 'FROM no-such-image:9\n', 1, /no-such-image/],
  ])('for %s', async (_what, dockerfile, line, says) => {
    const { code, stderr } = await fail(dockerfile);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(says);
    expect(stderr).toMatch(new RegExp(`Dockerfile:${line}\\b`));
    expect(stderr).toMatch(new RegExp(`> *${line} \\|`));
  });

  it('for an unknown target', async () => {
    const { code, stderr } = await fail('FROM box:1 AS base\n', ['--target', 'bass']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/bass/);
  });

  it('for a push to nowhere', async () => {
    const { code, stderr } = await fail('FROM box:1\nRUN true\n', ['-t', '127.0.0.1:9/acme/x:1', '--push']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/127\.0\.0\.1:9/);
  });
});

describe('wrong use', () => {
  it.each([
    [['build', '--platfrom', 'linux/amd64', '.'], /--platfrom.*\n?.*--platform/],
    [['build'], /path|context|requires|missing/i],
    [['build', '/no/such/directory'], /\/no\/such\/directory/],
    [['build', '-t', 'acme/Case', '.'], /acme\/Case/],
    [['biuld', '.'], /biuld/],
  ])('kiln %s exits with 2', async (args, says) => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: 'FROM box:1\n' });
    const { code, stderr } = await farm.cli(args, { cwd: dir }).ended;
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(says);
  });
});

describe('a farm that is not there, or refuses', () => {
  it('exits with 3 and says what to check', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: 'FROM box:1\n' });
    const gone = await farm.cli(['build', dir], { env: { KILN_URL: 'http://127.0.0.1:9' } }).ended;
    expect(gone.code).toBe(3);
    expect(gone.stderr).toMatch(/http:\/\/127\.0\.0\.1:9/);
    expect(gone.stderr).toMatch(/KILN_URL/);
    const refused = await farm.cli(['build', dir], { env: { KILN_TOKEN: 'wrong' } }).ended;
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/token/i);
  });
});

describe('Ctrl-C', () => {
  it('cancels the build, ends its step, and exits with 130', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: 'FROM box:1\nRUN echo waiting && sleep 1000\n' });
    const running = farm.cli(['build', dir]);
    while (!running.seen().includes('] RUN echo waiting') || !/#\d+ [\d.]+ waiting/.test(running.seen()))
      await delay(50);
    running.child.kill('SIGINT');
    const { code } = await running.ended;
    expect(code).toBe(130);
    const builds = await farm.cli(['builds', '--json']).ended;
    for (let tries = 0; ; tries++) {
      const { stdout } = await farm.cli(['builds', '--json']).ended;
      if (!stdout.includes('"running"')) break;
      if (tries > 50) throw new Error(`still running: ${builds.stdout}`);
      await delay(100);
    }
    expect((await farm.cli(['builds', '--json']).ended).stdout).toContain('"cancelled"');
  });
});
