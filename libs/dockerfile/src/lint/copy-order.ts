import { posix } from 'node:path';
import type { Copy, Dockerfile, Instruction, Run, Stage } from '../parse/ast.ts';
import type { ContextFiles } from './context-files.ts';
import { type Installation, installationOf } from './dependency-managers.ts';
import type { Findings } from './findings.ts';
import { isActive } from './lint-options.ts';
import { argumentListsOf } from './run-script.ts';

/** A directory of the context that is in the image. */
interface Copied {
  readonly copy: Copy;
  /** in the context; empty for all of it */
  readonly source: string;
  /** as it is in the image, absolute */
  readonly dest: string;
}

/** Files that say what to install, and other settings: a directory of these alone may well come first. */
const settings = /(?:\.(?:txt|lock|lockb|toml|json|ya?ml|cfg|ini|in|mod|sum|xml|properties)|file|rc|\.md)$/i;

/**
 * Sources that are copied before dependencies are installed: then each change of a source installs all of them anew.
 * @param files of the context, where they are known: else manifests are taken to have their usual names
 */
export function lintCopyOrder(file: Dockerfile, stage: Stage, files: ContextFiles | undefined, to: Findings): void {
  const installed = new Set(basesOf(file, stage).flatMap((base) => base.instructions.flatMap(managersOf)));
  const copied: Copied[] = [];
  let cwd = '/';
  for (const node of stage.instructions) {
    switch (node.kind) {
      case 'workdir':
        cwd = posix.resolve(cwd, node.argument);
        break;
      case 'copy':
      case 'add':
        copied.push(...directoriesOf(node, cwd, files));
        break;
      case 'run':
        for (const found of installationsOf(node, cwd)) {
          if (!installed.has(found.installation.manager)) lintOrder(node, found, { copied, files, to });
        }
        for (const manager of managersOf(node)) installed.add(manager);
        break;
      default:
    }
  }
}

interface Found {
  readonly installation: Installation;
  readonly cwd: string;
}

function installationsOf(run: Run, start: string): readonly Found[] {
  // What a cache mount keeps need not be fetched again.
  if (/--mount=\S*type=cache/.test(run.text)) return [];
  let cwd = start;
  return argumentListsOf(run).flatMap(({ args }) => {
    if (args[0] === 'cd' && args[1] !== undefined) cwd = posix.resolve(cwd, args[1]);
    const installation = installationOf(args);
    return installation === undefined ? [] : [{ installation, cwd }];
  });
}

// Each stage asks for all that it stands on.
const managers = new WeakMap<Instruction, readonly string[]>();

/** Of what an instruction installs by a manifest, each once. */
function managersOf(node: Instruction): readonly string[] {
  if (node.kind !== 'run') return [];
  const known = managers.get(node);
  if (known !== undefined) return known;
  const found = [...new Set(argumentListsOf(node).flatMap(({ args }) => installationOf(args)?.manager ?? []))];
  managers.set(node, found);
  return found;
}

/** The stages that a stage stands on. */
function basesOf(file: Dockerfile, stage: Stage): readonly Stage[] {
  const bases: Stage[] = [];
  const before = file.stages.slice(0, file.stages.indexOf(stage));
  for (let name: string | undefined = stage.from.base; name !== undefined; ) {
    const index: number = before.findLastIndex(({ from }) => from.name === name);
    const base = before[index];
    if (base === undefined) break;
    bases.push(base);
    before.length = index;
    name = base.from.base;
  }
  return bases;
}

/** Directories that a COPY brings with all that is below them. */
function directoriesOf(copy: Copy, cwd: string, files: ContextFiles | undefined): readonly Copied[] {
  if (copy.from !== undefined) return [];
  return copy.sources.flatMap((written) => {
    const source = posix.join('/', written).replace(/^\/|\/$/g, '');
    if (/[*?[$]/.test(source) || /[$]/.test(copy.dest) || /^[a-z]+:\/\//i.test(written)) return [];
    if (source !== '' && (files === undefined || !hasSources(files, source))) return [];
    if (source === '' && files !== undefined && !hasSources(files, '')) return [];
    return [{ copy, source, dest: posix.resolve(cwd, copy.dest) }];
  });
}

// One walk, however many COPYs take the directory.
const sourceful = new WeakMap<ContextFiles, Map<string, boolean>>();

function hasSources(files: ContextFiles, directory: string): boolean {
  const known = sourceful.get(files) ?? new Map<string, boolean>();
  sourceful.set(files, known);
  const found = known.get(directory) ?? holdsSources(files, directory);
  known.set(directory, found);
  return found;
}

function holdsSources(files: ContextFiles, directory: string): boolean {
  for (const path of files.below(directory)) {
    const name = posix.basename(path);
    if (!name.startsWith('.') && !settings.test(name)) return true;
  }
  return false;
}

interface Order {
  readonly copied: readonly Copied[];
  readonly files: ContextFiles | undefined;
  readonly to: Findings;
}

function lintOrder(run: Run, { installation, cwd }: Found, { copied, files, to }: Order): void {
  for (const { copy, source, dest } of copied.toReversed()) {
    const inside = (name: string): string => posix.relative(dest, posix.resolve(cwd, name));
    const main = installation.manifests[0]?.[0] ?? '';
    if (inside(main).startsWith('..')) continue;
    const named = manifestsOf(installation, files, (name) => posix.join(source, inside(name)));
    if (named.length === 0) continue;
    if (!isActive('CopyBeforeInstall', run.lint)) return;
    const target = posix.join(copy.dest, posix.dirname(inside(main)), '/');
    const narrow = `COPY ${named.join(' ')} ${target.startsWith('/') || target.startsWith('.') ? target : `./${target}`}`;
    const message =
      `${copy.text.replaceAll(/\s+/g, ' ')} comes before ${installation.command} (line ${run.line}), which so runs anew whenever any file changes: ` +
      `write ${narrow} first, then RUN ${installation.run}, then ${copy.text.replaceAll(/\s+/g, ' ')}`;
    return to.report('CopyBeforeInstall', message, copy);
  }
}

/** Paths in the context of the manifests that are there, or that usually are. */
function manifestsOf(
  { manifests, optional }: Installation,
  files: ContextFiles | undefined,
  place: (name: string) => string,
): readonly string[] {
  if (files === undefined) return manifests.flatMap((names) => (names[0] === undefined ? [] : place(names[0])));
  const there = manifests.map((names) => names.map(place).find((path) => files.has(path)));
  if (there[0] === undefined) return [];
  const more = optional.map(place).filter((path) => files.has(path));
  return [...there.filter((path) => path !== undefined), ...more];
}
