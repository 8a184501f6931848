import { posix } from 'node:path';
import type { Choices } from './choices.ts';
import type { Model } from './model.ts';
import { shellCommand } from './shell-commands.ts';

/** What a stage knows while its instructions are chosen. */
export interface StageState {
  readonly model: Model;
  /** absolute, without variables */
  workdir: string;
  user: string;
}

/** What is there to copy besides the context. */
export interface FinishedStage {
  /** as --from calls it: its name, or its number */
  readonly from: string;
  readonly model: Model;
}

export interface World {
  /** files of the context that `.dockerignore` leaves */
  readonly context: Model;
  readonly finished: readonly FinishedStage[];
}

type Instruction = (choose: Choices, stage: StageState, world: World) => string | undefined;

const OWNERS = ['--chown=7:8 ', '--chown=app ', '--chown=app:extra ', '--chown=1500 ', '--chown=0:0 '];
const MODES = ['--chmod=600 ', '--chmod=0755 ', '--chmod=640 '];

/**
 * Flags of COPY and ADD. Not there, for buildah differs from BuildKit: special bits in --chmod, and --chmod or --chown
 * where directories have to be made (its own are 0755 and root's).
 */
function flags(choose: Choices, makesNone: boolean): string {
  if (!makesNone) return '';
  return (choose.once(3) ? choose.of(OWNERS) : '') + (choose.once(4) ? choose.of(MODES) : '');
}

const words = (paths: readonly string[]): string =>
  paths.some((path) => /[ ']/.test(path))
    ? `[${paths.map((path) => JSON.stringify(path)).join(', ')}]`
    : paths.join(' ');

/** A directory to copy into: there, new, or relative; with a slash at its end. */
function directory(choose: Choices, stage: StageState): string {
  const there = stage.model.of('dir');
  const dir = choose.once(2) ? choose.of(there) : `${choose.of(there)}/made${choose.below(3)}`;
  return stage.model.kind(dir) === undefined || stage.model.kind(dir) === 'dir' ? dir : '/srv/fallback';
}

const spelt = (choose: Choices, stage: StageState, path: string): string =>
  choose.once(4) && stage.workdir !== '/' ? posix.relative(stage.workdir, path) || '.' : path;

const run: Instruction = (choose, stage) => {
  if (stage.user !== 'root') return `RUN id -u > /tmp/u${choose.below(3)} || :; cd /tmp && pwd > /tmp/mine || :`;
  const commands = Array.from({ length: 1 + choose.below(4) }, () => shellCommand(choose, stage.model, stage.workdir));
  return `RUN ${commands.join(' \\\n && ')}`;
};

const runExec: Instruction = (choose, stage) => {
  if (stage.user !== 'root') return undefined;
  return `RUN ["/bin/sh", "-c", ${JSON.stringify(shellCommand(choose, stage.model, stage.workdir))}]`;
};

const copyFiles: Instruction = (choose, stage, world) => {
  const files = world.context.of('file').filter((path) => !path.endsWith('.tar'));
  if (files.length === 0) return undefined;
  const sources = [...new Set(Array.from({ length: 1 + choose.below(3) }, () => choose.of(files)))];
  const dir = directory(choose, stage);
  const makesNone = stage.model.kind(dir) === 'dir';
  for (const source of sources) {
    const to = `${dir}/${posix.basename(source)}`;
    if (!stage.model.add(to, 'file')) return undefined;
  }
  const what = choose.of(['COPY', 'ADD']);
  const names = sources.map((path) => path.slice(1));
  return `${what} ${flags(choose, makesNone)}${words([...names, `${spelt(choose, stage, dir)}/`])}`;
};

const copyToName: Instruction = (choose, stage, world) => {
  const files = world.context.of('file').filter((path) => !path.endsWith('.tar'));
  if (files.length === 0) return undefined;
  const to = `${choose.of(stage.model.of('dir'))}/${choose.of(['named', 'a', 'b'])}`;
  if (!stage.model.add(to, 'file')) return undefined;
  return `COPY ${flags(choose, true)}${words([choose.of(files).slice(1), spelt(choose, stage, to)])}`;
};

/** The contents of a directory; only where nothing of another kind is in the way. */
const copyDirectory: Instruction = (choose, stage, world) => {
  const dirs = world.context.of('dir');
  if (dirs.length === 0) return undefined;
  const from = choose.of(dirs);
  const to = directory(choose, stage);
  const makesNone = stage.model.kind(to) === 'dir';
  if (!merge(stage.model, world.context, from, to)) return undefined;
  return `${choose.of(['COPY', 'ADD'])} ${flags(choose, makesNone)}${words([from.slice(1), `${to}/`])}`;
};

const copyGlob: Instruction = (choose, stage, world) => {
  const [pattern, matches] = choose.of([
    ['*.txt', /^\/[^/]*\.txt$/],
    ['d/?', /^\/d\/[^/]$/],
    ['[a-c]*.txt', /^\/[a-c][^/]*\.txt$/],
  ] as const);
  const found = world.context.of('file').filter((path) => matches.test(path));
  const dirs = world.context.of('dir').filter((path) => matches.test(path));
  if (found.length === 0 || dirs.length > 0) return undefined;
  const to = directory(choose, stage);
  const makesNone = stage.model.kind(to) === 'dir';
  for (const path of found) {
    const at = `${to}/${posix.basename(path)}`;
    if (!stage.model.add(at, 'file')) return undefined;
  }
  return `COPY ${flags(choose, makesNone)}${words([pattern, `${to}/`])}`;
};

const addArchive: Instruction = (choose, stage) => {
  const to = directory(choose, stage);
  for (const [name, kind] of [
    ['packed', 'dir'],
    ['packed/f', 'file'],
    ['packed/l', 'link'],
    ['top', 'file'],
  ] as const) {
    const at = `${to}/${name}`;
    if (!stage.model.add(at, kind)) return undefined;
  }
  return `ADD ${words(['a.tar', `${to}/`])}`;
};

/** From a stage: files and directories with what is in them. buildah follows links of its own way: none are named. */
const copyFromStage: Instruction = (choose, stage, world) => {
  if (world.finished.length === 0) return undefined;
  const source = choose.of(world.finished);
  const froms = source.model.of('file', 'dir').filter((path) => source.model.fits(path) && path !== '/tmp');
  const from = choose.of(froms);
  if (source.model.kind(from) === 'dir') {
    const to = directory(choose, stage);
    const makesNone = stage.model.kind(to) === 'dir';
    if (!merge(stage.model, source.model, from, to)) return undefined;
    return `COPY --from=${source.from} ${flags(choose, makesNone)}${words([from, `${to}/`])}`;
  }
  const to = `${choose.of(stage.model.of('dir'))}/${choose.of(['got', 'a'])}`;
  if (!stage.model.add(to, 'file')) return undefined;
  return `COPY --from=${source.from} ${flags(choose, true)}${words([from, to])}`;
};

function merge(into: Model, of: Model, from: string, to: string): boolean {
  const names = of.below(from).filter((name) => name !== from);
  for (const name of names) {
    if (!into.takes(to + name.slice(from.length), of.kind(name) ?? 'file')) return false;
  }
  if (!into.add(to, 'dir')) return false;
  return names.every((name) => into.add(to + name.slice(from.length), of.kind(name) ?? 'file'));
}

const env: Instruction = (choose) => {
  const name = `V${choose.below(3)}`;
  const value = choose.of(['plain', '"two words"', "'$V0'", '"${V0:-d}x"', '$V1$V2', '${V1:+set}', 'esc\\ aped', '""']);
  return `ENV ${name}=${value}`;
};

const workdir: Instruction = (choose, stage) => {
  const path = choose.of(['/w', 'rel', '/srv/low', '..', '/w/$W', '/opt/new/er']);
  const at = posix.resolve(stage.workdir, path.replace('$W', 'arg'));
  if (at !== '/' && !stage.model.add(at, 'dir')) return undefined;
  stage.workdir = at;
  return `WORKDIR ${path}`;
};

const user: Instruction = (choose, stage) => {
  stage.user = choose.of(['root', 'root', 'app', '1500:2000']);
  return `USER ${stage.user}`;
};

/** Not VOLUME: buildah makes its directory, BuildKit does not. */
const metadata: Instruction = (choose) =>
  choose.of([
    'LABEL l0="$V0" l1=b',
    'CMD ["run", "it"]',
    'EXPOSE 80 53/udp',
    'STOPSIGNAL SIGINT',
    'SHELL ["/bin/sh", "-ec"]',
    'ARG LATER=later',
  ]);

const INSTRUCTIONS: readonly Instruction[] = [
  run,
  run,
  run,
  run,
  runExec,
  copyFiles,
  copyFiles,
  copyToName,
  copyDirectory,
  copyDirectory,
  copyGlob,
  addArchive,
  copyFromStage,
  copyFromStage,
  copyFromStage,
  env,
  env,
  workdir,
  user,
  metadata,
];

/** One instruction that holds in a stage as it is. */
export function instruction(choose: Choices, stage: StageState, world: World): string {
  for (let attempt = 0; attempt < 6; attempt++) {
    const before = { model: stage.model.copy(), workdir: stage.workdir, user: stage.user };
    const line = choose.of(INSTRUCTIONS)(choose, before, world);
    if (line === undefined) continue;
    Object.assign(stage, before);
    return line;
  }
  return 'RUN true';
}
