import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAction } from '@actions/workflow-parser/actions/action-parser';
import { NoOperationTraceWriter } from '@actions/workflow-parser/templates/trace-writer';
import { BuildView } from '#protocol';
import { idTokenClaims, OidcIssuer, WebServer } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { settingNames } from '../../apps/cli/src/ci/settings.ts';
import { Farm } from '../e2e/farm.ts';
import {
  buildkiteHook,
  buildkitePlugin,
  circleOrb,
  circleScript,
  githubAction,
  githubFile,
  githubScript,
  gitlabJob,
  jenkinsStep,
  type Script,
} from './plugin-files.ts';

let farm: Farm;
/** a directory with `kiln`, and the commands that agents bring */
let bin: string;
beforeAll(async () => {
  farm = await Farm.start();
  await farm.startApi({ KILN_OIDC_EGRESS_ALLOW: '127.0.0.0/8' });
  bin = join(farm.dir, 'bin');
  await mkdir(bin);
  const main = fileURLToPath(new URL('../../dist/apps/cli/src/main.js', import.meta.url));
  await executable(join(bin, 'kiln'), `exec ${process.execPath} ${main} "$@"`);
});
afterAll(() => farm[Symbol.asyncDispose]());

async function executable(path: string, script: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

interface Ran {
  readonly code: number;
  readonly output: string;
}

/** A job's workspace, and how its steps are run. */
class Job {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async checkOut(dockerfile: string): Promise<Job> {
    const dir = await farm.folder();
    await writeFile(join(dir, 'Dockerfile'), `FROM box:1\nENV CASE=${dir}\n${dockerfile}`);
    return new Job(dir);
  }

  async run({ run, env }: Script, ci: Readonly<Record<string, string>>): Promise<Ran> {
    return await this.exec('bash', ['--noprofile', '--norc', '-e', '-o', 'pipefail', '-c', run], { ...ci, ...env });
  }

  async exec(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
    const given = { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: farm.dir, CI: 'true', ...env };
    const child = spawn(command, args, { cwd: this.dir, env: given, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [code] = z.tuple([z.int(), z.unknown()]).parse(await once(child, 'close'));
    return { code, output };
  }

  text(name: string): Promise<string> {
    return readFile(join(this.dir, name), 'utf8');
  }
}

const GOOD = 'ARG WHO=nobody\nRUN echo hello $WHO > /hello\n';
const BAD = 'RUN echo about to fail && exit 7\n';
const digest = /^sha256:[0-9a-f]{64}$/;
const tag = (name: string): string => `${farm.registry.host}/ci/${name}:1`;
const token = (): Readonly<Record<string, string>> => ({ KILN_URL: farm.url, KILN_TOKEN: farm.token });

describe('the GitHub Action', () => {
  const runner = (job: Job): Readonly<Record<string, string>> => ({
    GITHUB_ACTIONS: 'true',
    GITHUB_OUTPUT: join(job.dir, '.output'),
    GITHUB_STEP_SUMMARY: join(job.dir, '.summary'),
    GITHUB_ACTION_PATH: join(githubFile, '..'),
  });
  const script = (inputs: Readonly<Record<string, string>>): Promise<Script> =>
    githubScript({ cli: 'kiln', ...inputs });

  /** As the runner reads them. */
  async function outputs(job: Job): Promise<Record<string, string>> {
    const blocks = (await job.text('.output')).matchAll(/^(.+?)<<(.+)\n([^]*?)\n\2\n/gm);
    return Object.fromEntries([...blocks].map(([, name = '', , value = '']) => [name, value]));
  }

  it('is what GitHub takes for an action, with every setting as an input', async () => {
    const file = { name: 'action.yml', content: await readFile(githubFile, 'utf8') };
    const { context } = parseAction(file, new NoOperationTraceWriter());
    expect(context.errors.getErrors()).toEqual([]);
    const { inputs, runs } = await githubAction();
    expect(Object.keys(inputs).toSorted()).toEqual([...settingNames, 'cli'].toSorted());
    for (const name of settingNames)
      expect(runs.steps[0].env[`INPUT_${name.toUpperCase().replaceAll('-', '_')}`]).toBe(`\${{ inputs.${name} }}`);
  });

  it('builds, pushes, gives its outputs to later steps and a page to the job', async () => {
    const job = await Job.checkOut(
      `RUN --mount=type=secret,id=key test "$(tail -n 1 /run/secrets/key)" = lines\n${GOOD}`,
    );
    const inputs = {
      tags: `${tag('github')}\n${tag('github-too')}`,
      push: 'true',
      'build-args': 'WHO=me, myself\n',
      labels: 'org.example.a=1\norg.example.b=2',
      secrets: '"key=two\nlines"',
      url: farm.url,
      token: farm.token,
    };
    const first = await job.run(await script(inputs), runner(job));
    expect(first).toMatchObject({ code: 0 });
    const given = await outputs(job);
    expect(given['digest']).toMatch(digest);
    expect(given['imageid']).toMatch(digest);
    expect(JSON.parse(given['metadata'] ?? '')).toMatchObject({
      'containerimage.digest': given['digest'],
      'image.name': `${tag('github')},${tag('github-too')}`,
      'kiln.build': { id: given['build-id'], url: given['build-url'] },
    });
    expect(first.output).not.toContain('::error');
    expect(await job.text('.summary')).toMatch(/### ✅ Built .*\n[^]*0 of 2 steps from the cache/);
    expect(first.output + (await job.text('.summary'))).not.toContain(farm.token);
    const again = await job.run(await script(inputs), runner(job));
    expect(again.code).toBe(0);
    expect(await job.text('.summary')).toContain('**2 of 2 steps from the cache**');
  });

  it('fails with the build, says where, and on its page why', async () => {
    const job = await Job.checkOut(BAD);
    const { code, output } = await job.run(await script({ url: farm.url, token: farm.token }), runner(job));
    expect(code).toBe(1);
    expect(output).toMatch(/^::error file=Dockerfile,line=3,endLine=3,title=kiln%3A STEP_FAILED::\[2\/2\] RUN/m);
    expect(await job.text('.summary')).toMatch(/### ❌ Failed[^]*RUN echo about to fail[^]*about to fail/);
    expect(Object.keys(await outputs(job)).toSorted()).toEqual(['build-id', 'build-url']);
  });

  it('says what to do about a missing token, a farm that is away, and settings that make no sense', async () => {
    const job = await Job.checkOut(GOOD);
    const missing = await job.run(await script({ url: farm.url }), runner(job));
    expect(missing.code).toBe(3);
    expect(missing.output).toMatch(/^::error title=kiln%3A no build::.*token/m);
    const away = await job.run(await script({ url: 'http://127.0.0.1:9', token: 'x' }), runner(job));
    expect(away.code).toBe(3);
    expect(away.output).toMatch(/^::error title=kiln%3A no build::.*127\.0\.0\.1:9/m);
    const none = await job.run(await script({}), runner(job));
    expect(none.code).toBe(2);
    expect(none.output).toContain('no farm is named');
    const wrong = await job.run(await script({ url: farm.url, push: 'maybe' }), runner(job));
    expect(wrong.code).toBe(2);
    expect(wrong.output).toContain('push is true or false, not "maybe"');
    expect(await job.text('.summary')).toContain('### ❌ No build');
  });

  it('builds a pull request of a fork without a stored token, in a scope of its own that main does not read', async () => {
    await using issuer = await OidcIssuer.start();
    await using runtime = await WebServer.start();
    const rule = { name: 'forks', issuer: issuer.url, audience: 'kiln', claims: { repository: 'acme/web' } };
    const made = await fetch(`${farm.url}/v1/trust-rules`, {
      method: 'POST',
      headers: { authorization: `Bearer ${farm.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...rule, scope: 'gh/{ref}', parent: 'main', trust: 'fork' }),
    });
    expect([made.status, await made.text()]).toEqual([201, expect.anything()]);
    const claims = { ...idTokenClaims.github, ref: 'refs/pull/7/merge', aud: 'kiln' };
    // The runner's own endpoint: https://docs.github.com/en/actions/reference/security/oidc
    runtime.files.set('/token', { body: JSON.stringify({ value: await issuer.sign(claims) }) });
    const job = await Job.checkOut(GOOD);
    const event = join(job.dir, '.event.json');
    const head = { sha: 'a'.repeat(40), ref: 'their-branch', repo: { full_name: 'them/web' } };
    const pull = { number: 7, title: 'more', user: { login: 'them' }, head, base: { repo: { full_name: 'acme/web' } } };
    await writeFile(event, JSON.stringify({ pull_request: pull }));
    const build = async (inputs: Readonly<Record<string, string>>): Promise<string> => {
      const ran = await job.run(await script({ url: farm.url, ...inputs }), {
        ...runner(job),
        GITHUB_EVENT_PATH: event,
        GITHUB_REPOSITORY: 'acme/web',
        GITHUB_SERVER_URL: 'https://github.example',
        ACTIONS_ID_TOKEN_REQUEST_URL: `http://${runtime.host}/token?api-version=2.0`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of the runner',
      });
      expect(ran).toMatchObject({ code: 0 });
      return (await job.text('.summary')).split('### ').at(-1) ?? '';
    };
    const fork = { project: 'default', audience: 'kiln' };
    expect(await build(fork)).toContain('0 of 1 steps from the cache');
    expect(await build({ token: farm.token })).toContain('0 of 1 steps from the cache');
    expect(await build(fork)).toContain('1 of 1 steps from the cache');
    const { 'build-id': id } = await outputs(job);
    const headers = { authorization: `Bearer ${farm.token}` };
    const view = BuildView.parse(await (await fetch(`${farm.url}/v1/builds/${id}`, { headers })).json());
    expect(view).toMatchObject({
      scope: 'gh/refs/pull/7/merge',
      request: { source: { branch: 'their-branch', commit: 'a'.repeat(40), author: 'them', pullRequest: '7' } },
    });
    // Its id token is of no rule: refused, in the job's own way.
    runtime.files.set('/token', {
      body: JSON.stringify({ value: await issuer.sign({ ...claims, repository: 'evil/web' }) }),
    });
    const refused = await job.run(await script({ url: farm.url, ...fork }), {
      ...runner(job),
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://${runtime.host}/token?x`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of the runner',
    });
    expect(refused.code).toBe(3);
    expect(refused.output).toMatch(/^::error title=kiln%3A no build::/m);
  });
});

describe('the GitLab component', () => {
  it('has every setting as an input, and hands each on', async () => {
    const { job } = await gitlabJob({});
    const expected = settingNames.filter((name) => !['token', 'github-token'].includes(name));
    expect(Object.keys(job.variables).toSorted()).toEqual(
      expected.map((name) => `KILN_INPUT_${name.toUpperCase().replaceAll('-', '_')}`).toSorted(),
    );
  });

  it('leaves a dotenv file, a page, a link and a report of code quality', async () => {
    const job = await Job.checkOut(GOOD);
    const script = await gitlabJob({ tags: tag('gitlab'), push: 'true', url: farm.url });
    expect(await job.run(script, { GITLAB_CI: 'true', KILN_TOKEN: farm.token })).toMatchObject({ code: 0 });
    const { reports, paths } = script.job.artifacts;
    expect(await job.text(reports.dotenv)).toMatch(
      /^KILN_IMAGEID=sha256:.*\nKILN_DIGEST=sha256:.*\nKILN_BUILD_ID=.*\nKILN_BUILD_URL=http.*\n$/,
    );
    const link = /^\{"kiln":\[\{"external_link":\{"label":"Kiln build \w+","url":"http[^"]+"\}\}\]\}\n$/;
    expect(await job.text(reports.annotations)).toMatch(link);
    expect(JSON.parse(await job.text(reports.codequality))).toEqual([]);
    for (const path of paths) expect(await job.text(path)).toContain('### ✅ Built');
  });

  it('fails with the build, and reports its line', async () => {
    const job = await Job.checkOut(BAD);
    const script = await gitlabJob({ url: farm.url });
    expect(await job.run(script, { GITLAB_CI: 'true', KILN_TOKEN: farm.token })).toMatchObject({ code: 1 });
    expect(JSON.parse(await job.text(script.job.artifacts.reports.codequality))).toMatchObject([
      { check_name: 'STEP_FAILED', severity: 'critical', location: { path: 'Dockerfile', lines: { begin: 3 } } },
    ]);
  });
});

describe('the Buildkite plugin', () => {
  /** An agent that keeps what it is told. */
  const agent = `printf '%s ' "$@" >> "$TOLD"; printf '\\n' >> "$TOLD"; cat >> "$TOLD"; printf '\\n' >> "$TOLD"`;

  it('has every setting but those that are secret', async () => {
    const { configuration } = await buildkitePlugin();
    const expected = settingNames.filter((name) => !['token', 'secrets', 'github-token'].includes(name));
    expect(Object.keys(configuration.properties).toSorted()).toEqual([...expected, 'cli'].toSorted());
  });

  it('annotates the build, and keeps its outputs as meta-data', async () => {
    await executable(join(bin, 'buildkite-agent'), agent);
    for (const [dockerfile, code, style, page] of [
      [GOOD, 0, 'success', '### ✅ Built'],
      [BAD, 1, 'error', '### ❌ Failed'],
    ] as const) {
      const job = await Job.checkOut(dockerfile);
      const ran = await job.exec(buildkiteHook, [], {
        ...token(),
        BUILDKITE: 'true',
        BUILDKITE_JOB_ID: '0190',
        BUILDKITE_PLUGIN_KILN_TAGS_0: tag('buildkite'),
        BUILDKITE_PLUGIN_KILN_TAGS_1: tag('buildkite-too'),
        BUILDKITE_PLUGIN_KILN_PUSH: 'true',
        TOLD: join(job.dir, 'told'),
      });
      expect(ran).toMatchObject({ code });
      const told = await job.text('told');
      expect(told).toContain(`annotate --style ${style} --context kiln-0190`);
      expect(told).toContain(page);
      expect(/meta-data set kiln:digest \nsha256:[0-9a-f]{64}\n/.test(told)).toBe(code === 0);
    }
  });
});

describe('the CircleCI orb', () => {
  it('has every setting but the token, and a job whose parameters are those of its command', async () => {
    const { commands, jobs } = await circleOrb();
    const expected = settingNames.filter((name) => !['token', 'github-token'].includes(name));
    expect(Object.keys(commands.build.parameters).toSorted()).toEqual([...expected, 'cli'].toSorted());
    const [, { build }] = jobs.build.steps;
    for (const name of Object.keys(build)) expect(commands.build.parameters).toHaveProperty(name);
    expect(Object.keys(build).toSorted()).toEqual(Object.keys(jobs.build.parameters).toSorted());
  });

  it('hands its outputs to later steps', async () => {
    const job = await Job.checkOut(GOOD);
    const script = await circleScript({ tags: tag('circle'), push: 'true' });
    const bashEnv = join(job.dir, '.bash_env');
    expect(await job.run(script, { ...token(), CIRCLECI: 'true', BASH_ENV: bashEnv })).toMatchObject({ code: 0 });
    const later = await job.exec('bash', ['-c', 'echo "$KILN_DIGEST"'], { BASH_ENV: bashEnv });
    expect(later.output.trim()).toMatch(digest);
    expect(await job.text('kiln-summary.md')).toContain('### ✅ Built');
  });

  it('fails with the build', async () => {
    const job = await Job.checkOut(BAD);
    expect(await job.run(await circleScript({}), { ...token(), CIRCLECI: 'true' })).toMatchObject({ code: 1 });
    expect(await job.text('kiln-summary.md')).toContain('### ❌ Failed');
  });
});

describe('the Jenkins step', () => {
  /** The steps that Jenkins brings, as far as the library uses them. */
  const pipeline = `
def step = new GroovyShell(new Binding()).parse(new File(args[0]))
def vars = [:]
step.metaClass.withEnv = { List<String> each, Closure body -> each.each { def (n, v) = it.split('=', 2); vars[n] = v }; body() }
step.metaClass.string = { Map m -> m }
step.metaClass.withCredentials = { List each, Closure body -> each.each { assert it.credentialsId == 'kiln'; vars[it.variable] = System.getenv('SECRET') }; body() }
step.metaClass.sh = { Map m ->
  def p = new ProcessBuilder('sh', '-c', m.script).redirectErrorStream(true)
  p.environment().putAll(vars)
  def process = p.start()
  System.out << process.inputStream
  if (process.waitFor() != 0) throw new RuntimeException("script returned exit code \${process.exitValue()}")
}
step.metaClass.readFile = { String name -> new File(name).text }
def out = step.call(tags: [System.getenv('TAG')], push: true, buildArgs: [WHO: 'a, b'], credentialsId: 'kiln')
println "digest=\${out.digest}"
`;

  it('builds with its settings, and returns the outputs; fails with the build', async () => {
    const ci = {
      JENKINS_URL: 'https://jenkins.example.com/',
      KILN_URL: farm.url,
      SECRET: farm.token,
      // Debian's script looks for a default Java only.
      JAVA_HOME: join(await realpath('/usr/bin/java'), '../..'),
      TAG: tag('jenkins'),
    };
    const job = await Job.checkOut(GOOD);
    await writeFile(join(job.dir, 'pipeline.groovy'), pipeline);
    const ran = await job.exec('groovy', ['pipeline.groovy', jenkinsStep], ci);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.output).toMatch(/^digest=sha256:[0-9a-f]{64}$/m);
    const bad = await Job.checkOut(BAD);
    await writeFile(join(bad.dir, 'pipeline.groovy'), pipeline);
    const failed = await bad.exec('groovy', ['pipeline.groovy', jenkinsStep], ci);
    expect(failed.code).not.toBe(0);
    expect(failed.output).toContain('script returned exit code 1');
    expect(await bad.text('kiln-summary.md')).toContain('### ❌ Failed');
  });
});

describe('the Woodpecker and Drone plugin', () => {
  it.each(['woodpecker', 'drone'])('%s: reads PLUGIN_* as lists, mappings and text', async (ci) => {
    const job = await Job.checkOut(GOOD);
    const output = join(job.dir, 'output');
    const ran = await job.exec('kiln', ['ci'], {
      ...token(),
      CI: ci === 'woodpecker' ? 'woodpecker' : 'true',
      DRONE: 'true',
      DRONE_OUTPUT: output,
      PLUGIN_TAGS: `${tag(ci)},${tag(`${ci}-too`)}`,
      PLUGIN_PUSH: 'true',
      PLUGIN_BUILD_ARGS: '{"WHO":"me"}',
      PLUGIN_METADATA_FILE: 'meta.json',
      PLUGIN_SUMMARY_FILE: 'page.md',
    });
    expect(ran).toMatchObject({ code: 0 });
    expect(JSON.parse(await job.text('meta.json'))).toMatchObject({ 'image.name': `${tag(ci)},${tag(`${ci}-too`)}` });
    expect(await job.text('page.md')).toContain('### ✅ Built');
    expect(await job.text('output')).toMatch(/^KILN_DIGEST=sha256:/m);
  });

  it('fails with the build', async () => {
    const job = await Job.checkOut(BAD);
    expect(await job.exec('kiln', ['ci', 'woodpecker'], token())).toMatchObject({ code: 1 });
  });
});
