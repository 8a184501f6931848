/** A command that fetches what a project depends on, and the files of the project that it reads for that. */
export interface Install {
  /** as it stands in the step, without what comes before and after it */
  readonly command: string;
  readonly reads: readonly string[];
  /** the same as COPY takes them, whether there is a lock file or not */
  readonly sources: readonly string[];
  /** what else the step runs once that is done: it may read all of the project */
  readonly rest: readonly string[];
  /** flags of the RUN, such as `--mount=…` */
  readonly flags: readonly string[];
}

const ENV = '(?:[A-Z_][A-Z0-9_]*=\\S+ +)*';
const FLAGS = '(?: +-\\S+)*';

/** Anything but flags after these means something else: a package by name, a script of the project. */
const installs: readonly (readonly [RegExp, readonly string[]])[] = [
  [new RegExp(`^${ENV}npm (?:ci|i|install)${FLAGS}$`), ['package.json', 'package-lock.json']],
  [new RegExp(`^${ENV}yarn(?: install)?${FLAGS}$`), ['package.json', 'yarn.lock']],
  [new RegExp(`^${ENV}pnpm (?:i|install)${FLAGS}$`), ['package.json', 'pnpm-lock.yaml']],
  [new RegExp(`^${ENV}poetry install${FLAGS}$`), ['pyproject.toml', 'poetry.lock']],
  [new RegExp(`^${ENV}uv sync${FLAGS}$`), ['pyproject.toml', 'uv.lock']],
  [/^go mod download(?: -x)?$/, ['go.mod', 'go.sum']],
  [new RegExp(`^${ENV}bundle install${FLAGS}$`), ['Gemfile', 'Gemfile.lock']],
  [new RegExp(`^${ENV}composer install${FLAGS}$`), ['composer.json', 'composer.lock']],
];
const pip = new RegExp(`^${ENV}(?:python3? -m )?pip3? install${FLAGS} +-r +([\\w.-]+)${FLAGS}$`);

/** Without these they want the project itself, not only what it depends on. */
const wanted: readonly (readonly [RegExp, RegExp])[] = [
  [/\bpoetry install\b/, / --no-root\b/],
  [/\buv sync\b/, / --no-install-project\b/],
  [/\bcomposer install\b/, / --no-scripts\b/],
];
/** For the machine rather than for the project, in another folder, or for packages of a workspace: these read more. */
const elsewhere =
  / (?:-[gCdrFw]|-ws|--(?:global|location=global|prefix|cwd|dir|directory|working-dir|project|package|all-packages|gemfile|filter|recursive|workspaces?))(?:=\S*)?(?= |$)/;
/** It fails without its lock file; others do without. */
const strict = / (?:ci|--frozen-lockfile|--immutable|--frozen|--locked)(?: |$)/;
/** What stands beside an install and reads nothing of the project. */
const harmless =
  /^(?:set -|npm (?:cache clean|config set)|corepack enable|yarn cache clean|pip3? cache purge|go clean -)/;

/** Of `RUN …`; undefined when it installs nothing, or when that cannot be told from its text. */
export function installOf(instruction: string): Install | undefined {
  const run = commandOf(instruction);
  if (run === undefined) return undefined;
  const commands = run.command.split(' && ').map((each) => each.trim());
  const at = commands.findIndex((each) => !harmless.test(each));
  const command = commands[at] ?? '';
  const reads = readsOf(command);
  if (reads === undefined) return undefined;
  const rest = commands.slice(at + 1).filter((each) => !harmless.test(each));
  const [manifest = '', lock] = reads;
  const sources = lock === undefined || strict.test(command) ? reads : [manifest, `${lock}*`];
  return { command, reads, sources, rest, flags: run.flags };
}

function readsOf(command: string): readonly string[] | undefined {
  const [, requirements] = pip.exec(command) ?? [];
  if (requirements !== undefined) return [requirements];
  const [, reads] = installs.find(([form]) => form.test(command)) ?? [];
  if (reads === undefined || elsewhere.test(command)) return undefined;
  return wanted.every(([form, flag]) => !form.test(command) || flag.test(command)) ? reads : undefined;
}

/** What a RUN hands to the shell, where that is no more than commands one after the other. */
export function commandOf(
  instruction: string,
): { readonly flags: readonly string[]; readonly command: string } | undefined {
  const [, text] = /^RUN (.*)$/s.exec(instruction) ?? [];
  const flags: string[] = [];
  let command = text?.trim() ?? '';
  for (;;) {
    const [found] = /^--[a-z]+(?:=\S*)? +/.exec(command) ?? [];
    if (found === undefined) break;
    flags.push(found.trim());
    command = command.slice(found.length);
  }
  // A list is no shell's; here-documents, pipes and the like are not taken apart.
  return command === '' || /^\[|<<|[;|`'"(){}\n…]|&(?!&)(?<!&&)/.test(command) ? undefined : { flags, command };
}
