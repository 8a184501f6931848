import { type BakeFile, Bakery, type PlannedTarget, printPlan } from '#bake';
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { listText } from './lists.ts';

/** What nobody writes by hand is no bake file. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** All that a plan is made of, as plain data. */
export interface PlanInput {
  readonly files: readonly BakeFile[];
  readonly variables: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly dotEnv: string | undefined;
  readonly builtins: Readonly<Record<string, string>>;
  readonly nowMs: number;
  readonly homeDir: string;
  /** where files lie that a compose file names */
  readonly cwd: string;
  /** names and patterns of targets */
  readonly targets: readonly string[];
  /** as in `--set` */
  readonly overrides: readonly string[];
  /** as in `--list`: then nothing is planned */
  readonly list: string | undefined;
}

export interface Planned {
  readonly notes: readonly string[];
  readonly targets: readonly PlannedTarget[];
  /** what `--list` or `--print` prints */
  readonly text: string;
}

/** @throws KilnError INVALID_ARGUMENT with the place */
export function planFiles({ nowMs, homeDir, cwd, targets, overrides, list, ...input }: PlanInput): Planned {
  const readFile = (path: string): string | undefined => readSmall(resolve(cwd, path));
  const bakery = new Bakery({ ...input, readFile, machine: { nowMs: () => nowMs, homeDir } });
  const { notes } = bakery;
  if (list !== undefined) return { notes, targets: [], text: listText(bakery, list) };
  const plan = bakery.plan({ targets, overrides });
  return { notes, targets: plan.targets, text: `${printPlan(plan)}\n` };
}

/** Undefined for what is no file here. */
function readSmall(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true || found.size > MAX_FILE_BYTES) return undefined;
  return readFileSync(path, 'utf8');
}
