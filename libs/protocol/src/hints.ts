import { z } from 'zod';
import { withCacheMounts } from './cached-fetch.ts';
import { type Install, installOf } from './install-command.ts';
import type { MissChange, OwnCause, StepRef } from './miss-cause.ts';
import { leftOut } from './left-out.ts';
import { instructionOf } from './miss-text.ts';
import { partsOf } from './step-name.ts';

/** What to do so that steps do not run again for the same cause. */
export const Hint = z.object({
  text: z.string(),
  /** how that is written; null where the text says all */
  snippet: z.object({ file: z.enum(['Dockerfile', '.dockerignore']), lines: z.array(z.string()).min(1) }).nullable(),
});
export type Hint = z.infer<typeof Hint>;

/** A step that ran for a cause of its own, and what ran again because of it. */
export interface Cost {
  readonly step: StepRef;
  readonly cause: OwnCause;
  readonly followed: readonly StepRef[];
  /** all of them together */
  readonly costMs: number;
}

/** Keeping what was fetched is worth a change from here on. */
const DEAR_MS = 5_000;

const said = (text: string): Hint => ({ text, snippet: null });
const written = (
  text: string,
  lines: readonly string[],
  file: 'Dockerfile' | '.dockerignore' = 'Dockerfile',
): Hint => ({
  text,
  snippet: { file, lines: [...lines] },
});

/** Nothing rather than what may be wrong: an instruction that is not understood for sure is left alone. */
export function hintsOf(cost: Cost): readonly Hint[] {
  const { cause } = cost;
  switch (cause.kind) {
    case 'changed':
      return cause.changes.flatMap((change) => hintsOfChange(change, cost));
    case 'gone':
      if (cause.reason !== 'evicted') return [];
      return [
        said('the cache had no room for it: kiln cache du tells what takes it, KILN_CACHE_PROJECT_MIB gives more'),
      ];
    case 'scope':
      return [said('a build of the default branch makes a result everybody’s; those of other branches are their own')];
    case 'noCache':
      if (cause.flag !== '--no-cache') return [];
      return [
        said(
          '--no-cache runs all that is there; --pull looks for new base images alone, --no-cache-filter STAGE runs one stage',
        ),
      ];
    case 'neverBuilt':
    case 'expired':
    case 'unfinished':
    case 'otherRun':
    case 'unknown':
      return [];
  }
}

function hintsOfChange(change: MissChange, cost: Cost): readonly Hint[] {
  switch (change.kind) {
    case 'image':
      return imageHints(change, cost);
    case 'variable':
      return variableHints(change, cost);
    case 'files':
      return filesHints(change, cost);
    case 'commit':
      if (change.old === null || change.new === null) return [];
      return [said(`${change.repository} moves with its ref; a commit in its place stays`)];
    case 'instruction':
    case 'setting':
    case 'order':
    case 'step':
      return [];
  }
}

function imageHints(
  { oldName, newName, old, new: now }: Extract<MissChange, { kind: 'image' }>,
  { step }: Cost,
): readonly Hint[] {
  if (oldName !== newName || old === null || now === null) return [];
  const stage = stageOf(step.name).split(' ').at(-1) ?? '';
  const name = stage === '' || /^stage-\d+$|\//.test(stage) ? '' : ` AS ${stage}`;
  return [written(`${newName} moves with its tag; with its digest it stays`, [`FROM ${newName}@${now}${name}`])];
}

/** Of commits, times and the like no step has to know. */
const STAMP = /(?:^|_)(?:commit|sha|rev|revision|date|time|timestamp|build|version)(?:_|$)/i;

function variableHints(
  { from, name, old, new: now }: Extract<MissChange, { kind: 'variable' }>,
  { step, followed }: Cost,
): readonly Hint[] {
  if (from !== 'ARG') return [];
  const text = textOf(step.name);
  // What is told of secrets is that they are some.
  if (old === '***' || now === '***') {
    const why = `${name} looks like a secret: as one it is in no key, and in no image`;
    if (!/^RUN (?!.*(?:<<|…))/.test(text)) return [said(why)];
    return [written(why, [text.replace(/^RUN /, `RUN --mount=type=secret,id=${name.toLowerCase()},env=${name} `)])];
  }
  if (followed.length === 0 || text.includes(`$${name}`) || text.includes(`\${${name}`)) return [];
  const label = STAMP.test(name) ? '; as --label or --annotation it counts for no step at all' : '';
  return [said(`${name} counts for every RUN below its ARG; declare it where it is used${label}`)];
}

function filesHints(change: Extract<MissChange, { kind: 'files' }>, cost: Cost): readonly Hint[] {
  const copy = copyOf(textOf(cost.step.name));
  if (copy === undefined || change.source !== 'context') return [];
  const installed = installBelow(cost);
  const ignored = copy.isWide ? leftOut(change, installed !== undefined) : [];
  if (ignored.length > 0) {
    const text = `where no step reads ${ignored.join(', ')}, leave it out of the context: then ${copy.text} runs for it no more`;
    return [written(text, ignored, '.dockerignore')];
  }
  if (installed === undefined) return dearHints(cost);
  const { install, text } = installed;
  const reads = (path: string): boolean => install.reads.some((file) => path === file || path.endsWith(`/${file}`));
  if (change.files.some(({ path }) => reads(path)) || !copy.isPlain || (!copy.isWide && !copy.isBelow))
    return dearHints(cost);
  return [orderHint(install, { copy, text })];
}

/** Commands below that fetch anew what they had fetched before. */
function dearHints({ followed, costMs }: Cost): readonly Hint[] {
  if (costMs < DEAR_MS) return [];
  const mounted = followed.flatMap(({ name }) => withCacheMounts(textOf(name)) ?? []);
  if (mounted.length === 0) return [];
  const text = 'when it has to run, a cache mount gives it what it fetched before (the folder is that of root)';
  return [written(text, mounted.slice(0, 1))];
}

/** An install of the same stage that ran for no other cause, before which nothing ran that it may need. */
function installBelow({ step, followed }: Cost): { readonly install: Install; readonly text: string } | undefined {
  const stage = stageOf(step.name);
  for (const { name } of followed) {
    const text = textOf(name);
    if (stageOf(name) !== stage || text.startsWith('COPY ')) continue;
    const install = installOf(text);
    return install === undefined ? undefined : { install, text };
  }
  return undefined;
}

const textOf = (name: string): string => instructionOf(name).replaceAll(/\s+/g, ' ').trim();
const stageOf = (name: string): string => partsOf(name).place.replace(/ *\d+\/\d+$/, '');

interface Copy {
  readonly text: string;
  readonly target: string;
  /** those of whose the files are, and how they lie */
  readonly flags: readonly string[];
  /** there are no others */
  readonly isPlain: boolean;
  /** of all that is in the context */
  readonly isWide: boolean;
  /** into a folder below the working directory */
  readonly isBelow: boolean;
}

const KEPT = /^--(?:chown|chmod|link)(?:=|$)/;

function copyOf(text: string): Copy | undefined {
  const [word, ...rest] = text.split(' ');
  const operands = rest.filter((each) => !each.startsWith('--'));
  const flags = rest.filter((each) => each.startsWith('--'));
  const target = operands.at(-1);
  if (word !== 'COPY' || target === undefined || operands.length < 2 || /[["'<$…]/.test(operands.join(' ')))
    return undefined;
  return {
    ...{ text, target, flags },
    isPlain: flags.every((flag) => KEPT.test(flag)),
    isWide: operands.slice(0, -1).some((each) => ['.', './', '*', './*'].includes(each)),
    isBelow: /^(?:\.\/)?\w[\w./-]*$/.test(target) && !target.includes('..'),
  };
}

function orderHint(install: Install, { copy, text }: { readonly copy: Copy; readonly text: string }): Hint {
  const files = install.reads.join(' and ');
  const run = ['RUN', ...install.flags, install.command].join(' ');
  const rest = install.rest.length === 0 ? [] : [['RUN', ...install.flags, install.rest.join(' && ')].join(' ')];
  if (!copy.isWide)
    return written(`${text} reads ${files} alone: run it before ${copy.text}`, [run, copy.text, ...rest]);
  const into = copy.target.endsWith('/') ? copy.target : `${copy.target}/`;
  const first = `copy ${files} before ${rest.length === 0 ? text : install.command}, and the rest (${copy.text}) after it`;
  const along = 'what else it reads (settings, workspaces, its scripts) goes along';
  const needed = ['COPY', ...copy.flags, ...install.sources, into].join(' ');
  return written(`${first}; ${along}`, [needed, run, copy.text, ...rest]);
}
