import type { Choices } from './choices.ts';
import type { Kind, Model } from './model.ts';

const NAMES = ['a', 'b', 'x', 'new', 'two words', 'ü', '.dot'];
/** The sticky bit and setuid too; setgid on directories would be handed down by mkdir. */
const FILE_MODES = ['600', '644', '755', '4755', '2711', '0', '1666'];
const DIR_MODES = ['700', '755', '711', '1777'];
const OWNERS = ['0:0', '7:8', 'app', 'app:extra', '70000:80000', '1500'];

type Command = (choose: Choices, model: Model, at: string) => string | undefined;
const quoted = (path: string): string => `'${path}'`;

/** A path that nothing has yet, in a directory that is there. */
function fresh(choose: Choices, model: Model): string {
  const dir = choose.of(model.of('dir').filter((path) => path !== '/tmp'));
  for (let attempt = 0; attempt < 5; attempt++) {
    const path = `${dir}/${choose.of(NAMES)}`;
    if (model.kind(path) === undefined) return path;
  }
  let path = `${dir}/n`;
  while (model.kind(path) !== undefined) path += 'n';
  return path;
}

/** What is there, of some kinds; not the directories that the base brings, which later commands stand on. */
function some(choose: Choices, model: Model, ...kinds: readonly Kind[]): string | undefined {
  const all = model.of(...kinds).filter((path) => !['/srv', '/opt', '/tmp'].includes(path));
  return all.length === 0 ? undefined : choose.of(all);
}

/** Whether a path may go: not where the step and later ones begin, for builders make that again in ways of their own. */
const mayGo = (path: string, at: string): boolean => at !== path && !at.startsWith(`${path}/`);

/**
 * In a user namespace, where Kiln's steps are, the kernel takes set-user-ID and set-group-ID from a file that is written to,
 * whoever writes; elsewhere it leaves them to root.
 */
const plain = (path: string): string => `chmod u-s,g-s ${quoted(path)} && `;

const write: Command = (choose, model) => {
  const known = choose.once(3) ? some(choose, model, 'file') : undefined;
  const path = known ?? fresh(choose, model);
  model.add(path, 'file');
  return `${known === undefined ? '' : plain(known)}printf '%s\\n' "t${choose.below(100)}" > ${quoted(path)}`;
};

const append: Command = (choose, model) => {
  const path = some(choose, model, 'file');
  return path === undefined ? undefined : `${plain(path)}echo more >> ${quoted(path)}`;
};

const makeDirectory: Command = (choose, model) => {
  const path = `${fresh(choose, model)}${choose.once(3) ? '/deep/er' : ''}`;
  return model.add(path, 'dir') ? `mkdir -p ${quoted(path)}` : undefined;
};

const remove: Command = (choose, model, at) => {
  const path = some(choose, model, 'file', 'dir', 'link', 'fifo');
  if (path === undefined || !mayGo(path, at)) return undefined;
  model.remove(path);
  return `rm -rf ${quoted(path)}`;
};

const removeAndMake: Command = (choose, model, at) => {
  const path = some(choose, model, 'dir');
  if (path === undefined || !mayGo(path, at)) return undefined;
  model.remove(path);
  model.add(`${path}/again`, 'file');
  return `rm -r ${quoted(path)} && mkdir ${quoted(path)} && echo again > ${quoted(`${path}/again`)}`;
};

const rename: Command = (choose, model, at) => {
  const from = some(choose, model, 'file', 'dir', 'link', 'fifo');
  const to = fresh(choose, model);
  if (from === undefined || !mayGo(from, at) || to.startsWith(`${from}/`)) return undefined;
  model.move(from, to);
  return `mv ${quoted(from)} ${quoted(to)}`;
};

const changeMode: Command = (choose, model) => {
  const path = some(choose, model, 'file', 'dir', 'fifo');
  if (path === undefined) return undefined;
  return `chmod ${choose.of(model.kind(path) === 'dir' ? DIR_MODES : FILE_MODES)} ${quoted(path)}`;
};

const changeOwner: Command = (choose, model) => {
  const path = some(choose, model, 'file', 'dir', 'link', 'fifo');
  if (path === undefined) return undefined;
  const how = model.kind(path) === 'dir' && choose.once(3) ? '-R' : '-h';
  return `chown ${how} ${choose.of(OWNERS)} ${quoted(path)}`;
};

/**
 * Two names of a file that nothing else touches: a later step that changes one of them takes them apart in Kiln and
 * BuildKit, where each step is a layer, and not in buildah, where the stage is.
 */
const hardLink: Command = (_choose, model) => {
  const dir = model.unseen('/hard');
  return `mkdir ${dir} && echo hard > ${dir}/a && ln ${dir}/a ${dir}/b`;
};

const symbolicLink: Command = (choose, model) => {
  const to = fresh(choose, model);
  model.add(to, 'link');
  return `ln -s ${quoted(choose.of(['/srv/low', 'low/a', '../..', '/nowhere', '.']))} ${quoted(to)}`;
};

const copyTree: Command = (choose, model) => {
  const from = some(choose, model, 'dir', 'file');
  const to = fresh(choose, model);
  if (from === undefined || to.startsWith(`${from}/`)) return undefined;
  for (const name of model.below(from)) model.add(to + name.slice(from.length), model.kind(name) ?? 'file');
  return `cp -a ${quoted(from)} ${quoted(to)}`;
};

const pipe: Command = (choose, model) => {
  const path = fresh(choose, model);
  model.add(path, 'fifo');
  return `mkfifo -m ${choose.of(['600', '644'])} ${quoted(path)}`;
};

/** What the step sees: user, directory, variables. */
const look: Command = (choose, model, at) => {
  const path = `${at === '/' ? '' : at}/seen${choose.below(3)}`;
  const known = model.kind(path) !== undefined;
  if (!model.add(path, 'file')) return undefined;
  const what = choose.of(['pwd', 'id -u', 'echo "$V0|$V1|${V2-unset}"', 'umask', 'ls -a /srv', 'echo "$0"']);
  return `${known ? plain(path) : ''}${what} > ${quoted(path)}`;
};

const COMMANDS: readonly Command[] = [
  write,
  write,
  append,
  makeDirectory,
  remove,
  removeAndMake,
  rename,
  changeMode,
  changeMode,
  changeOwner,
  hardLink,
  symbolicLink,
  copyTree,
  pipe,
  look,
  look,
];

/** One command that will succeed, as root. @param at an absolute path of a directory for what is looked at */
export function shellCommand(choose: Choices, model: Model, at: string): string {
  for (let attempt = 0; attempt < 5; attempt++) {
    const command = choose.of(COMMANDS)(choose, model, at);
    if (command !== undefined) return command;
  }
  return 'true';
}
