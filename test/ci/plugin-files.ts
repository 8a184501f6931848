import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';

const folder = (path: string): string => fileURLToPath(new URL(`../../infra/ci/${path}`, import.meta.url));

/** A script as its CI runs it: text for a shell, and the variables that the CI sets for it. */
export interface Script {
  readonly run: string;
  readonly env: Readonly<Record<string, string>>;
}

type Values = Readonly<Record<string, string>>;

const Scalar = z.union([z.string(), z.boolean(), z.number()]).transform(String);
const Parameters = z.record(z.string(), z.looseObject({ default: Scalar.optional() }));

const GithubAction = z.object({
  inputs: Parameters,
  outputs: z.record(z.string(), z.object({ value: z.string() })),
  runs: z.object({
    using: z.literal('composite'),
    steps: z.tuple([
      z.object({
        id: z.literal('build'),
        shell: z.literal('bash'),
        env: z.record(z.string(), z.string()),
        run: z.string(),
      }),
    ]),
  }),
});

export const githubFile = folder('github/action.yml');

export async function githubAction(): Promise<z.infer<typeof GithubAction>> {
  return GithubAction.parse(parse(await readFile(githubFile, 'utf8')));
}

/** The step of the action, with these inputs. */
export async function githubScript(given: Values): Promise<Script> {
  const { inputs, runs } = await githubAction();
  const [{ run, env }] = runs.steps;
  return { run, env: filled(env, /\$\{\{ inputs\.([a-z-]+) \}\}/g, valuesOf(inputs, given)) };
}

const GitlabSpec = z.object({ spec: z.object({ inputs: Parameters }) });
const GitlabJob = z.object({
  id_tokens: z.record(z.string(), z.object({ aud: z.string() })),
  variables: z.record(z.string(), z.string()),
  script: z.array(z.string()),
  artifacts: z.object({
    when: z.literal('always'),
    paths: z.array(z.string()),
    reports: z.object({ dotenv: z.string(), codequality: z.string(), annotations: z.string() }),
  }),
});

/** The job that the component gives a pipeline, with these inputs. */
export async function gitlabJob(given: Values): Promise<Script & { readonly job: z.infer<typeof GitlabJob> }> {
  const text = await readFile(folder('gitlab/templates/kiln-build.yml'), 'utf8');
  const [head, body] = parseAllDocuments(text).map((document) => z.unknown().parse(document.toJS()));
  const values = valuesOf(GitlabSpec.parse(head).spec.inputs, given);
  const jobs = z.record(z.string(), GitlabJob).parse(body);
  const [job] = Object.values(jobs);
  if (job === undefined) throw new Error('no job');
  return { job, run: job.script.join('\n'), env: filled(job.variables, /\$\[\[ inputs\.([a-z-]+) \]\]/g, values) };
}

export const buildkiteHook = folder('buildkite/hooks/command');

export const BuildkitePlugin = z.strictObject({
  name: z.string(),
  description: z.string(),
  author: z.string(),
  requirements: z.array(z.string()),
  configuration: z.strictObject({
    properties: z.record(z.string(), z.looseObject({ type: z.union([z.string(), z.array(z.string())]) })),
    additionalProperties: z.literal(false),
  }),
});

export async function buildkitePlugin(): Promise<z.infer<typeof BuildkitePlugin>> {
  return BuildkitePlugin.parse(parse(await readFile(folder('buildkite/plugin.yml'), 'utf8')));
}

const CircleCommand = z.object({
  parameters: Parameters,
  steps: z.tuple([
    z.object({ run: z.object({ name: z.string(), environment: z.record(z.string(), Scalar), command: z.string() }) }),
    z.object({ store_artifacts: z.object({ path: z.string() }) }),
  ]),
});
const CircleOrb = z.strictObject({
  version: z.literal(2.1),
  description: z.string(),
  commands: z.object({ build: CircleCommand }),
  executors: z.record(z.string(), z.object({ docker: z.array(z.object({ image: z.string() })) })),
  jobs: z.object({
    build: z.object({
      executor: z.string(),
      parameters: Parameters,
      steps: z.tuple([z.literal('checkout'), z.object({ build: z.record(z.string(), Scalar) })]),
    }),
  }),
});

export async function circleOrb(): Promise<z.infer<typeof CircleOrb>> {
  return CircleOrb.parse(parse(await readFile(folder('circleci/orb.yml'), 'utf8')));
}

/** The orb's command, with these parameters. */
export async function circleScript(given: Values): Promise<Script> {
  const { parameters, steps } = (await circleOrb()).commands.build;
  const { environment, command } = steps[0].run;
  return { run: command, env: filled(environment, /<< parameters\.([a-z-]+) >>/g, valuesOf(parameters, given)) };
}

export const jenkinsStep = folder('jenkins/vars/kilnBuild.groovy');

function valuesOf(parameters: z.infer<typeof Parameters>, given: Values): Values {
  const unknown = Object.keys(given).filter((name) => parameters[name] === undefined);
  if (unknown.length > 0) throw new Error(`the plugin has no ${unknown.join(', ')}`);
  return Object.fromEntries(Object.entries(parameters).map(([name, of]) => [name, given[name] ?? of.default ?? '']));
}

/** As the CI puts values where an expression stands. */
function filled(env: Values, expression: RegExp, values: Values): Values {
  const fill = (text: string): string =>
    text.replaceAll(expression, (_, name: string) => {
      const value = values[name];
      if (value === undefined) throw new Error(`there is no input ${name}`);
      return value;
    });
  return Object.fromEntries(Object.entries(env).map(([name, text]) => [name, fill(text)]));
}
