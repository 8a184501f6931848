import { isDeepStrictEqual } from 'node:util';
import type { MissChange } from '#protocol';
import type { KeyedVertex, KeyPreimage } from './keyed-vertex.ts';

type Op = KeyPreimage['op'];

/** What people write to set a member of an operation, where it is not the instruction's own text. */
const settings: Readonly<Record<string, string>> = {
  cwd: 'WORKDIR',
  user: 'USER',
  network: '--network',
  security: '--security',
  extraHosts: '--add-host',
  mounts: '--mount',
  chown: '--chown',
  chmod: '--chmod',
  dest: 'destination',
  path: 'directory',
};

const limits: Readonly<Record<string, string>> = {
  memoryBytes: '--memory',
  cpuMillis: '--cpus',
  shmSizeBytes: '--shm-size',
  ulimits: '--ulimit',
};

/** What an instruction's own text says: a new text is the one change, not each member that it brings. */
const written: Readonly<Record<string, readonly string[]>> = {
  exec: ['args', 'mounts', 'network', 'security', 'files'],
  copy: ['from', 'dest', 'chown', 'chmod', 'parents', 'excludes', 'inline'],
  mkdir: ['path'],
};

const textOf = (value: unknown): string | null => {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
};

/** An instruction without its place. */
export const instruction = ({ name }: Pick<KeyedVertex, 'name'>): string => name.replace(/^\[[^\]]*\d+\/\d+\] /, '');

/**
 * Sources and what narrows them, out of the text of a COPY or ADD: without the destination and the flags that only say how
 * files land.
 */
export function sourcesText(text: string): string {
  const words = text.split(/\s+/).filter((word) => !/^--(?:chown|chmod|link)\b/.test(word));
  return words.slice(0, -1).join(' ');
}

/**
 * What is otherwise in an operation, inputs aside.
 * @param args names of the variables that are ARGs
 */
export function compareOps(now: KeyedVertex, past: KeyedVertex, args: ReadonlySet<string>): readonly MissChange[] {
  if (now.preimage === undefined || past.preimage === undefined) return [];
  const [op, old] = [now.preimage.op, past.preimage.op];
  const changes: MissChange[] = [];
  const differing = membersOf(op, old).filter((member) => !isDeepStrictEqual(op[member], old[member]));
  const ofText = written[op.kind] ?? [];
  const renamed = instruction(now) !== instruction(past);
  const rewritten = renamed && differing.some((member) => ofText.includes(member));
  if (rewritten) changes.push({ kind: 'instruction', old: instruction(past), new: instruction(now) });
  for (const member of differing) {
    if (rewritten && ofText.includes(member)) continue;
    changes.push(...memberChanges(member, op, old, args));
  }
  if (now.preimage.platform !== past.preimage.platform)
    changes.push({ kind: 'setting', name: 'platform', old: past.preimage.platform, new: now.preimage.platform });
  return changes;
}

function membersOf(...ops: readonly Op[]): readonly string[] {
  return [...new Set(ops.flatMap((op) => Object.keys(op)))].sort();
}

function memberChanges(member: string, op: Op, old: Op, args: ReadonlySet<string>): readonly MissChange[] {
  const [now, before] = [op[member], old[member]];
  switch (member) {
    case 'env':
      return variableChanges(strings(now), strings(before), args);
    case 'args':
      return [argsChange(strings(now), strings(before))];
    case 'mounts':
      return mountChanges(list(now), list(before));
    case 'files':
    case 'inline':
      return [{ kind: 'instruction', ...firstDifference(documents(before), documents(now)) }];
    case 'limits':
      return Object.entries(limits).flatMap(([name, flag]): readonly MissChange[] => {
        const [a, b] = [memberOf(now, name), memberOf(before, name)];
        return isDeepStrictEqual(a, b) ? [] : [{ kind: 'setting', name: flag, old: textOf(b), new: textOf(a) }];
      });
    default: {
      const name = op.kind === 'mkdir' && member === 'chown' ? 'USER' : (settings[member] ?? member);
      return [{ kind: 'setting', name, old: textOf(before), new: textOf(now) }];
    }
  }
}

/** Under one text: the words before the command are the SHELL's, a command of several lines is a here-document. */
function argsChange(now: readonly string[], old: readonly string[]): MissChange {
  if (now.at(-1) === old.at(-1))
    return { kind: 'setting', name: 'SHELL', old: textOf(old.slice(0, -1)), new: textOf(now.slice(0, -1)) };
  return { kind: 'instruction', ...firstDifference(old.at(-1) ?? '', now.at(-1) ?? '') };
}

/** Digests over values of secrets tell only that the value is another one. */
function mountChanges(now: readonly unknown[], old: readonly unknown[]): readonly MissChange[] {
  const keyed = (mounts: readonly unknown[]): ReadonlyMap<string, unknown> =>
    new Map(
      mounts
        .filter((each) => memberOf(each, 'type') === 'secret')
        .map((each) => [textOf(memberOf(each, 'id')) ?? '', memberOf(each, 'keyed')]),
    );
  const [mine, theirs] = [keyed(now), keyed(old)];
  const shown = (value: unknown): string | null => (value === undefined ? null : '***');
  const values = [...mine].flatMap(([id, value]): readonly MissChange[] => {
    const before = theirs.get(id);
    if (value === before || !theirs.has(id)) return [];
    return [{ kind: 'setting', name: `value of secret ${id}`, old: shown(before), new: shown(value) }];
  });
  const [texts, before] = [now.map(withoutKeyed), old.map(withoutKeyed)];
  const only = (some: readonly string[], others: readonly string[]): string | null => {
    const left = some.filter((each) => !others.includes(each));
    return left.length === 0 ? null : `[${left.join()}]`;
  };
  const sides = { old: only(before, texts), new: only(texts, before) };
  if (sides.old !== null || sides.new !== null) return [...values, { kind: 'setting', name: '--mount', ...sides }];
  if (values.length > 0) return values;
  return [{ kind: 'setting', name: 'order of mounts', old: `[${before.join()}]`, new: `[${texts.join()}]` }];
}

const withoutKeyed = (mount: unknown): string =>
  JSON.stringify(mount, (name, value: unknown) => (name === 'keyed' ? undefined : value));

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const strings = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function documents(value: unknown): string {
  return list(value)
    .map((each) => textOf(memberOf(each, 'text')) ?? '')
    .join('\n');
}

/** The first line in which two texts differ. */
function firstDifference(old: string, now: string): { readonly old: string; readonly new: string } {
  const [before, after] = [old.split('\n'), now.split('\n')];
  const at = after.findIndex((line, n) => line !== before[n]);
  const index = at === -1 ? after.length : at;
  return { old: before[index] ?? '', new: after[index] ?? '' };
}

function variableChanges(
  now: readonly string[],
  old: readonly string[],
  args: ReadonlySet<string>,
): readonly MissChange[] {
  const split = (list: readonly string[]): ReadonlyMap<string, string> =>
    new Map(
      list.map((entry) => {
        const at = entry.indexOf('=');
        return at === -1 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
      }),
    );
  const [mine, theirs] = [split(now), split(old)];
  const names = [...new Set([...mine.keys(), ...theirs.keys()])];
  const changes = names.flatMap((name): readonly MissChange[] => {
    const [value, before] = [mine.get(name) ?? null, theirs.get(name) ?? null];
    if (value === before) return [];
    return [{ kind: 'variable', from: args.has(name) ? 'ARG' : 'ENV', name, old: before, new: value }];
  });
  if (changes.length > 0) return changes;
  return [
    { kind: 'setting', name: 'order of variables', old: [...theirs.keys()].join(' '), new: [...mine.keys()].join(' ') },
  ];
}
