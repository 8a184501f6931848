import { formatGoDuration } from '../go-duration.ts';
import { goList, goQuoteAll } from '../go-format.ts';
import { invalid } from '../invalid.ts';
import type { Arg, Command, HealthcheckInstruction, Listed, Pairs, Single } from '../parse/ast.ts';
import { given } from './global-scope.ts';
import { commandArgs } from './lower-run.ts';
import { scanSwitches } from './scanned-trees.ts';
import { checkSignal } from './signals.ts';
import { expandIn, type StageLowering } from './stage-lowering.ts';

/** ENV and LABEL: all values see the environment before the instruction. */
export function lowerPairs(node: Pairs, lowering: StageLowering): void {
  const { state } = lowering;
  const pairs = node.pairs.map(({ key, value }): readonly [string, string] => [
    expandIn(lowering, node, key),
    expandIn(lowering, node, value),
  ]);
  if (node.kind === 'env') for (const [name, value] of pairs) state.setEnv(name, value);
  else for (const [name, value] of pairs) state.labels.set(name, value);
  state.commit([node.kind.toUpperCase(), ...pairs.map(([name, value]) => `${name}=${value}`)].join(' '));
}

/** A build argument wins over the stage's default, that over the value of the global scope. */
export function lowerArg(node: Arg, lowering: StageLowering): void {
  const { state, scope, options } = lowering;
  const committed = node.args.map(({ name, value: declared }) => {
    const value =
      given(options.buildArgs, name) ?? (declared === undefined ? scope.get(name) : expandIn(lowering, node, declared));
    // As in BuildKit, and not as its manual has it: an ARG after an ENV of the same name wins.
    if (value !== undefined && !scanSwitches.has(name)) state.env.set(name, value);
    const inherited =
      declared === undefined && given(options.buildArgs, name) === undefined && scope.get(name) !== undefined;
    state.buildArgs.push({ name, value, node, inherited });
    return value === undefined ? name : `${name}=${value}`;
  });
  state.commit(['ARG', ...committed].join(' '));
}

export function lowerCommand(node: Command, lowering: StageLowering): void {
  const { state, findings } = lowering;
  const name = node.kind.toUpperCase();
  const shellKnown = state.image?.unresolved !== true;
  if (node.command.form === 'shell' && (state.config.Shell ?? []).length === 0 && shellKnown) {
    const message = `JSON arguments recommended for ${node.keyword} to prevent unintended behavior related to OS signals`;
    findings.report('JSONArgsRecommended', message, node);
  }
  const args = [...commandArgs(node.command, state)];
  if (node.kind === 'cmd') {
    state.cmdSet = true;
    state.config = { ...state.config, Cmd: args, ArgsEscaped: true };
  } else {
    // The base's CMD was meant for the base's ENTRYPOINT.
    const { Cmd, ...rest } = state.config;
    state.config = { ...(state.cmdSet && Cmd !== undefined ? { ...rest, Cmd } : rest), Entrypoint: args };
  }
  state.commit(`${name} ${goQuoteAll(args)}`);
}

export function lowerHealthcheck(node: HealthcheckInstruction, lowering: StageLowering): void {
  const { state } = lowering;
  const { Test = [], Interval = 0, Timeout = 0, StartPeriod = 0, StartInterval = 0, Retries = 0 } = node.healthcheck;
  state.config = { ...state.config, Healthcheck: node.healthcheck };
  const durations = Object.entries({ Interval, Timeout, StartPeriod, StartInterval });
  const members = [
    `Test:${goList(Test)}`,
    ...durations.map(([name, ns]) => `${name}:${formatGoDuration(ns)}`),
    `Retries:${Retries}`,
  ];
  state.commit(`HEALTHCHECK {${members.join(' ')}}`);
}

export function lowerVolume(node: Listed, lowering: StageLowering): void {
  const { state } = lowering;
  const paths = node.items.map((item) => expandIn(lowering, node, item));
  if (paths.includes(''))
    throw invalid('VOLUME specified can not be an empty string', {
      hint: 'name a path; a variable in it has no value here',
    });
  for (const path of paths) state.volumes.add(path);
  state.commit(`VOLUME ${goList(paths)}`);
}

export function lowerShell(node: Listed, { state }: StageLowering): void {
  state.config = { ...state.config, Shell: [...node.items] };
  state.commit(`SHELL ${goList(node.items)}`);
}

export function lowerUser(node: Single, lowering: StageLowering): void {
  const { state } = lowering;
  const user = expandIn(lowering, node, node.argument);
  state.config = { ...state.config, User: user };
  state.commit(`USER ${user}`);
}

export function lowerStopSignal(node: Single, lowering: StageLowering): void {
  const { state } = lowering;
  const signal = expandIn(lowering, node, node.argument);
  checkSignal(signal);
  state.config = { ...state.config, StopSignal: signal };
  state.commit(`STOPSIGNAL ${signal}`);
}

/** Variables in the name of a person mean nothing. */
export function lowerMaintainer(node: Single, { state }: StageLowering): void {
  state.author = node.argument;
  state.commit(`MAINTAINER ${node.argument}`);
}

/** For the build that stands on this image; it makes no entry in the history. */
export function lowerOnbuild(node: Single, { state }: StageLowering): void {
  state.triggers.push(node.argument);
}
