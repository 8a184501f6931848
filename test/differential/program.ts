import { tarOf } from '#testing';
import { Choices } from './choices.ts';
import { type FinishedStage, instruction, type StageState } from './instructions.ts';
import { baseModel, Model } from './model.ts';

/** A Dockerfile and the context that it is built with. */
export interface Program {
  readonly dockerfile: string;
  /** by path; modes other than 0644 beside them */
  readonly files: Readonly<Record<string, string | Buffer>>;
  readonly modes: Readonly<Record<string, number>>;
  readonly args: readonly string[];
}

const FILES: Readonly<Record<string, string>> = {
  'a.txt': 'a\n',
  'b.txt': 'b\n',
  'sp ace.txt': 's\n',
  'run.sh': '#!/bin/sh\n',
  'd/x': 'x\n',
  'd/y': 'y\n',
  'd/e/deep.log': 'deep\n',
  'low/a': 'other a\n',
  'low/sub/n': 'n\n',
  'd/.hidden': 'h\n',
};
const MODES = { 'run.sh': 0o755, 'd/x': 0o600 };
/** What `.dockerignore` says, and which of the files it leaves out. */
const IGNORES: readonly (readonly [string, RegExp])[] = [
  ['', /^$/],
  ['*.sh\n', /^[^/]*\.sh$/],
  ['**/*.log\nd/y\n', /\.log$|^d\/y$/],
  ['d\n!d/x\n', /^d\/(?!x$)/],
  ['low/sub\n.hidden\n', /^low\/sub\//],
];

/** Chooses a program; the same numbers give the same one. */
export async function programOf(numbers: readonly (readonly number[])[]): Promise<Program> {
  const head = new Choices(numbers[0] ?? [0]);
  const [ignore, left] = head.of(IGNORES);
  const archive = await tarOf(
    { name: 'packed/', type: 'directory', mode: 0o711, uid: 3, gid: 4 },
    { name: 'packed/f', text: 'f\n', mode: 0o4755, uid: 5, gid: 6 },
    { name: 'packed/l', type: 'symlink', linkname: 'f' },
    { name: 'top', text: 'top\n', mode: 0o600 },
  );
  const files = { ...FILES, '.dockerignore': ignore, 'a.tar': archive };
  const seen = Object.keys(FILES).filter((path) => !left.test(path));
  const context = new Model([]);
  for (const path of seen) context.add(`/${path}`, 'file');
  return {
    dockerfile: dockerfileOf(head, numbers.slice(1), context),
    files,
    modes: MODES,
    args: ['--build-arg', 'W=arg'],
  };
}

function dockerfileOf(head: Choices, numbers: readonly (readonly number[])[], context: Model): string {
  const lines: string[] = [];
  const finished: (FinishedStage & { readonly name: string })[] = [];
  const stages = 1 + head.below(3);
  const length = Math.ceil(numbers.length / stages);
  for (let index = 0; index < stages; index++) {
    const below = finished.length > 0 && head.once(2) ? head.of(finished) : undefined;
    const stage: StageState = { model: below?.model.copy() ?? baseModel(), workdir: '/', user: 'root' };
    const name = `s${index}`;
    lines.push(`FROM ${below?.name ?? 'base/busybox:1'} AS ${name}`, 'ARG W', 'USER root', 'WORKDIR /');
    for (const choice of numbers.slice(index * length, (index + 1) * length)) {
      lines.push(instruction(new Choices(choice), stage, { context, finished }));
    }
    finished.push({ name, from: head.once(2) ? name : String(index), model: stage.model });
  }
  return `${lines.join('\n')}\n`;
}
