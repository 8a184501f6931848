import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeFailure } from './fail.ts';
import { everyCommand, pathOf } from './help-examples.ts';
import { createProgram, runProgram } from './program.ts';

/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:1';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kiln-offline-'));
  await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\n');
  await writeFile(join(folder, 'docker-bake.hcl'), 'target "default" {}\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  for (const [name, value] of Object.entries({ KILN_TOKEN: '', KILN_CONTEXT: '', KILN_OIDC: '' }))
    vi.stubEnv(name, value);
  vi.stubEnv('XDG_CONFIG_HOME', folder);
  vi.stubEnv('KILN_URL', NOWHERE);
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const failure = (args: readonly string[]) =>
  runProgram(args).then(
    () => undefined,
    (thrown: unknown) => describeFailure(thrown),
  );

/** What each command needs to get as far as the farm. */
const lines: Readonly<Record<string, readonly string[]>> = {
  build: [],
  bake: [],
  builds: [],
  dashboard: [],
  images: [],
  history: ['x'],
  tag: ['x', 'y'],
  push: ['x', 'y'],
  rmi: ['x'],
  run: ['x'],
  proxy: ['--listen', '127.0.0.1:0'],
  logs: ['x'],
  retry: ['x'],
  explain: ['x'],
  summary: ['x'],
  cancel: ['x'],
  'cache du': [],
  'cache prune': ['-f'],
  'cache disown': ['x', '-f'],
  'cache stats': [],
  'cache misses': [],
  'cache reruns': [],
  'token create': ['x'],
  'token ls': [],
  'token revoke': ['x'],
  'project create': ['x'],
  'project ls': [],
  'project badge': ['on'],
  'member create': ['x'],
  'member ls': [],
  'member update': ['x', '--role', 'viewer'],
  'member rm': ['x'],
  'builder ls': [],
  'builder drain': ['x'],
  'builder undrain': ['x'],
  'webhook create': ['https://ci.example.com'],
  'webhook ls': [],
  'webhook update': ['x', '--enable'],
  'webhook rm': ['x'],
  'webhook deliveries': ['x'],
  'webhook redeliver': ['x', 'y'],
  'webhook ping': ['x'],
  whoami: [],
};
/** They ask no farm, or a terminal first. */
const local =
  /^$|^(?:up|down|status|login|logout|completion|ci|version|context.*|cache|token|project|member|webhook|builder(?: join)?|admin.*)$/;

describe('without a farm', () => {
  it.each(Object.entries(lines))('kiln %s says where it looked, why, and what to do', async (path, args) => {
    const bake = ['bake', '-f', join(folder, 'docker-bake.hcl'), '--set', `*.context=${folder}`];
    const given = path === 'bake' ? bake : path === 'build' ? ['build', folder] : [...path.split(' '), ...args];
    expect(await failure(given)).toEqual({
      text: `cannot reach the farm at ${NOWHERE} (connection refused)\ncheck KILN_URL, or run without it to use an embedded farm\n`,
      code: 3,
    });
  });

  it('is asked of every command that speaks to one', () => {
    const all = everyCommand(createProgram()).map(pathOf);
    expect(all.filter((path) => !local.test(path)).toSorted()).toEqual(Object.keys(lines).toSorted());
  });

  it('names the context that leads nowhere', async () => {
    vi.stubEnv('KILN_URL', '');
    expect(await failure(['context', 'create', 'team', '--url', NOWHERE])).toBeUndefined();
    expect(await failure(['builds', '--context', 'team'])).toEqual({
      text: `cannot reach the farm at ${NOWHERE} (connection refused)\nkiln context update team --url changes its address, kiln context use chooses another farm\n`,
      code: 3,
    });
    vi.stubEnv('KILN_CONTEXT', 'default');
    const none = await failure(['builds', '--data', folder]);
    expect(none).toMatchObject({
      code: 3,
      text: expect.stringMatching(/^no farm runs for .*\nstart it with kiln up/) as string,
    });
  });
});
