import { posix } from 'node:path';
import { type ExecLimits, type ExecMount, type ExecOp, INLINE_FILES_DIR, type InlineFile } from '#graph';
import { invalid } from '../invalid.ts';
import { chomp, parseHeredocStart } from '../lex/heredoc.ts';
import type { CommandForm, Run, Single } from '../parse/ast.ts';
import { goQuote } from '../go-format.ts';
import { isAgent, lowerMounts } from './lower-mounts.ts';
import { proxyEnvironment } from './proxy-environment.ts';
import { stepComments } from './step-comments.ts';
import { expandIn, type StageLowering } from './stage-lowering.ts';
import type { Source } from './stage-plan.ts';
import type { StageState } from './stage-state.ts';
import { expandedName, writtenName } from './vertex-names.ts';

const DEFAULT_SHELL = ['/bin/sh', '-c'] as const;

/** The shell form is one argument of the SHELL. */
export function commandArgs(command: CommandForm, { config }: StageState): readonly string[] {
  if (command.form === 'exec') return command.args;
  const shell = config.Shell !== undefined && config.Shell.length > 0 ? config.Shell : DEFAULT_SHELL;
  return [...shell, command.text];
}

export function lowerRun(run: Run, mountSources: readonly (Source | undefined)[], lowering: StageLowering): void {
  const { state, builder, names, options, onbuild } = lowering;
  const { command, files } = withHeredocs(run);
  const args = commandArgs(command, state);
  const { cwd, user, platform, root } = state;
  const { mounts, inputs } = lowerMounts(run, mountSources, lowering);
  const limits = definedOf(options.limits ?? {});
  const op: ExecOp = {
    kind: 'exec',
    args,
    env: withAgent(state.env.toArray(), mounts),
    cwd,
    user,
    network: run.network === 'default' ? options.network : run.network,
    ...(run.security === 'insecure' ? { security: run.security } : {}),
    ...(mounts.length === 0 ? {} : { mounts }),
    ...(run.devices.length === 0 ? {} : { devices: run.devices }),
    ...(options.extraHosts === undefined || options.extraHosts.length === 0 ? {} : { extraHosts: options.extraHosts }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...proxyEnvironment(options.buildArgs, state.env),
    ...(files.length === 0 ? {} : { files }),
  };
  const known = state.buildArgs.map(({ name }) => name);
  const label = names.label(writtenName(run), { line: run.line, onbuild, ttlMs: stepComments(run.comments).ttlMs });
  state.root = builder.add(op, platform, [root, ...inputs], known.length === 0 ? label : { ...label, args: known });
  state.commit(`RUN ${[...argsInScope(state), ...args].join(' ')} # buildkit`, true);
}

/** Programs find the client's agent by this variable, unless the Dockerfile has set it. */
function withAgent(env: readonly string[], mounts: readonly ExecMount[]): readonly string[] {
  const agent = mounts.find(isAgent);
  if (agent === undefined || env.some((entry) => entry.startsWith('SSH_AUTH_SOCK='))) return env;
  return [...env, `SSH_AUTH_SOCK=${agent.target}`];
}

/** Without the members that are undefined. */
function definedOf(limits: ExecLimits): ExecLimits {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

interface Prepared {
  readonly command: CommandForm;
  readonly files: readonly InlineFile[];
}

/**
 * A command that is one here-document alone is its text, or a program of its own when that begins with `#!`; all others are for
 * the shell to read, with their here-documents put back.
 */
function withHeredocs({ command, heredocs }: Run): Prepared {
  const [first] = heredocs;
  if (first === undefined) return { command, files: [] };
  if (command.form !== 'shell')
    throw invalid('a here-document needs the shell form of RUN', {
      hint: 'write the command without brackets and quotes',
    });
  if (parseHeredocStart(command.text) === undefined) {
    const whole = heredocs.map(({ name, body }) => `\n${body}${name}`).join('');
    return { command: { form: 'shell', text: command.text + whole }, files: [] };
  }
  const text = chomp(first);
  if (!text.startsWith('#!')) return { command: { form: 'shell', text }, files: [] };
  const { name } = first;
  return { command: { form: 'shell', text: posix.join(INLINE_FILES_DIR, name) }, files: [{ name, text }] };
}

/** `|2 A=1 B=2`: the ARGs that the command saw. */
function argsInScope({ buildArgs, env }: StageState): readonly string[] {
  env.meter.copy(buildArgs.length);
  const values = new Map(buildArgs.map(({ name, value }) => [name, env.get(name) ?? value ?? '']));
  return values.size === 0 ? [] : [`|${values.size}`, ...[...values].map(([name, value]) => `${name}=${value}`)];
}

/** Makes the directory where it is missing; always a layer, save for the root. */
export function lowerWorkdir(workdir: Single, lowering: StageLowering): void {
  const { state, builder, names, findings, onbuild, file } = lowering;
  const path = expandIn(lowering, workdir, workdir.argument);
  if (!state.workdirSet && !path.startsWith('/')) {
    const message = `Relative workdir ${goQuote(path)} can have unexpected results if the base image changes`;
    findings.report('WorkdirRelativePath', message, workdir);
  }
  state.workdirSet = true;
  const written = state.changeDirectory(path);
  const { cwd, user, platform, root } = state;
  if (written !== '/') {
    state.root = builder.add(
      { kind: 'mkdir', path: cwd, mode: 0o755, ...(user === '' ? {} : { chown: user }) },
      platform,
      [root],
      names.label(expandedName(workdir, state.env, file.escape), { line: workdir.line, onbuild }),
    );
  }
  state.commit(`WORKDIR ${written}`, written !== '/');
}
