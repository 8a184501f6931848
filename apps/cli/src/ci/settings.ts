import { usageError } from '../usage.ts';
import { type ListForm, readList } from './lists.ts';

/** One text, or several values where a CI keeps them apart by itself. */
export type Given = string | readonly string[];

/** @returns undefined for what was not given; a CI gives many as empty texts */
export type GetSetting = (name: string) => Given | undefined;

type Kind = 'text' | 'switch' | ListForm;

/** By the names of docker/build-push-action, with the flags of `kiln build`. */
const flags: Readonly<Record<string, readonly [flag: string, kind: Kind]>> = {
  'add-hosts': ['--add-host', 'commas'],
  allow: ['--allow', 'commas'],
  annotations: ['--annotation', 'lines'],
  attests: ['--attest', 'lines'],
  'build-args': ['--build-arg', 'pairs'],
  'build-contexts': ['--build-context', 'pairs'],
  'cache-from': ['--cache-from', 'lines'],
  'cache-to': ['--cache-to', 'lines'],
  call: ['--call', 'text'],
  'cgroup-parent': ['--cgroup-parent', 'text'],
  cpus: ['--cpus', 'text'],
  file: ['--file', 'text'],
  labels: ['--label', 'pairs'],
  load: ['--load', 'switch'],
  memory: ['--memory', 'text'],
  network: ['--network', 'text'],
  'no-cache': ['--no-cache', 'switch'],
  'no-cache-filters': ['--no-cache-filter', 'commas'],
  outputs: ['--output', 'lines'],
  platforms: ['--platform', 'commas'],
  priority: ['--priority', 'text'],
  provenance: ['--provenance', 'text'],
  pull: ['--pull', 'switch'],
  push: ['--push', 'switch'],
  sbom: ['--sbom', 'text'],
  'secret-envs': ['--secret', 'pairs'],
  'secret-files': ['--secret', 'pairs'],
  'shm-size': ['--shm-size', 'text'],
  ssh: ['--ssh', 'lines'],
  supersede: ['--supersede', 'switch'],
  tags: ['--tag', 'commas'],
  target: ['--target', 'text'],
  ulimit: ['--ulimit', 'commas'],
};

const others = [
  ...['context', 'secrets', 'github-token', 'metadata-file', 'summary-file'],
  ...['url', 'token', 'project', 'audience'],
];

/** All that a CI job may set. */
export const settingNames: readonly string[] = [...Object.keys(flags), ...others].toSorted();

const farmVariables = {
  url: 'KILN_URL',
  token: 'KILN_TOKEN',
  project: 'KILN_PROJECT',
  audience: 'KILN_OIDC_AUDIENCE',
};

/** What a CI job asks for. */
export interface Asked {
  /** flags and context of `kiln build`, fit to be shown: values of secrets are not among them */
  readonly args: readonly string[];
  /** what is added to the environment: values of secrets, the farm and its token */
  readonly environment: Readonly<Record<string, string>>;
  readonly dockerfile: string;
  /** files that are kept, whatever the CI */
  readonly metadataFile: string | undefined;
  readonly summaryFile: string | undefined;
}

/**
 * @param own settings with a default of the CI's own
 * @throws KilnError INVALID_ARGUMENT naming the setting
 */
export function readSettings(get: GetSetting): Asked {
  const args: string[] = [];
  const environment: Record<string, string> = {};
  for (const [name, [flag, kind]] of Object.entries(flags)) {
    for (const value of valuesOf(get, name, kind)) {
      if (kind === 'switch') args.push(flag);
      else args.push(`${flag}=${name.startsWith('secret-') ? secretSpec(name, value) : value}`);
    }
  }
  for (const [n, value] of valuesOf(get, 'secrets', 'lines').entries()) {
    const [id, secret] = pairOf('secrets', value);
    environment[`KILN_CI_SECRET_${n}`] = secret;
    args.push(`--secret=${quoted(`id=${id}`)},env=KILN_CI_SECRET_${n}`);
  }
  const token = textOf(get, 'github-token');
  if (token !== undefined) {
    environment['KILN_CI_GIT_TOKEN'] = token;
    args.push('--secret=id=GIT_AUTH_TOKEN,env=KILN_CI_GIT_TOKEN');
  }
  for (const [name, variable] of Object.entries(farmVariables)) {
    const value = textOf(get, name);
    if (value !== undefined) environment[variable] = value;
  }
  // Whoever names a project has no token stored: the job's id token is exchanged for one.
  if (environment['KILN_PROJECT'] !== undefined) environment['KILN_OIDC'] = '1';
  const context = textOf(get, 'context') ?? '.';
  return {
    // A context that begins with a dash is a name, not a flag.
    args: [...args, '--', context],
    environment,
    dockerfile: textOf(get, 'file') ?? (/^[.]?\/?$/.test(context) ? 'Dockerfile' : joined(context)),
    metadataFile: textOf(get, 'metadata-file'),
    summaryFile: textOf(get, 'summary-file'),
  };
}

/** Where a Dockerfile lies in the repository, as far as that can be told. */
function joined(context: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/|^-$/i.test(context)
    ? 'Dockerfile'
    : `${context.replace(/^\.\//, '').replace(/\/+$/, '')}/Dockerfile`;
}

function textOf(get: GetSetting, name: string): string | undefined {
  return valuesOf(get, name, 'text')[0];
}

function valuesOf(get: GetSetting, name: string, kind: Kind): readonly string[] {
  const given = get(name);
  if (given === undefined) return [];
  if (kind === 'text' || kind === 'switch') {
    const [text = '', second] = typeof given === 'string' ? [given] : given;
    if (second !== undefined) throw usageError(`${name} has one value, not ${given.length}`);
    if (text.trim() === '') return [];
    return kind === 'text' ? [text.trim()] : isOn(name, text.trim()) ? [''] : [];
  }
  return typeof given === 'string' ? readList(name, given, kind) : given.filter((each) => each !== '');
}

function isOn(name: string, text: string): boolean {
  // As YAML 1.2 and the CIs write them.
  if (['true', '1', 'yes', 'on'].includes(text.toLowerCase())) return true;
  if (['false', '0', 'no', 'off'].includes(text.toLowerCase())) return false;
  throw usageError(`${name} is true or false, not ${JSON.stringify(text)}`);
}

function secretSpec(name: string, value: string): string {
  const [id, source] = pairOf(name, value);
  return `${quoted(`id=${id}`)},${quoted(`${name === 'secret-envs' ? 'env' : 'src'}=${source}`)}`;
}

function pairOf(name: string, value: string): readonly [string, string] {
  const equals = value.indexOf('=');
  // Never with its value: it may be a secret.
  if (equals < 1) throw usageError(`${name} has an entry without NAME=`, `write ${name} as NAME=VALUE, one a line`);
  return [value.slice(0, equals), value.slice(equals + 1)];
}

const quoted = (field: string): string => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
