/** What an installation of dependencies reads, and how to run it before the sources are there. */
export interface Installation {
  /** one for all commands that install the same */
  readonly manager: string;
  /** as people know the command */
  readonly command: string;
  /** of these, those that are there; the first of them has to be */
  readonly manifests: readonly (readonly string[])[];
  /** what also counts, where it is there */
  readonly optional: readonly string[];
  /** the command for before the sources */
  readonly run: string;
}

interface Manager {
  readonly name: string;
  readonly programs: readonly string[];
  readonly matches: (args: readonly string[]) => boolean;
  readonly manifests: readonly (readonly string[])[];
  readonly optional?: readonly string[];
  readonly run?: (command: string) => string;
}

const isFlag = (word: string): boolean => word.startsWith('-');
/** The command alone, with flags at most: with names behind it, it installs those. */
const only =
  (...commands: readonly string[]) =>
  (args: readonly string[]): boolean => {
    const [command = '', ...more] = args.filter((word) => !isFlag(word));
    return commands.includes(command) && more.length === 0;
  };
const first =
  (...commands: readonly string[]) =>
  (args: readonly string[]): boolean =>
    commands.includes(args.find((word) => !isFlag(word)) ?? '');
const withFlag = (flag: string) => (command: string) => (command.includes(flag) ? command : `${command} ${flag}`);
const instead = (command: string) => () => command;

const node = ['package.json'];
const managers: readonly Manager[] = [
  {
    name: 'npm',
    programs: ['npm'],
    matches: only('ci', 'clean-install', 'install', 'i'),
    manifests: [node, ['package-lock.json']],
    optional: ['npm-shrinkwrap.json', '.npmrc'],
  },
  {
    name: 'yarn',
    programs: ['yarn'],
    matches: only('', 'install'),
    manifests: [node, ['yarn.lock']],
    optional: ['.yarnrc', '.yarnrc.yml', '.npmrc'],
  },
  {
    name: 'pnpm',
    programs: ['pnpm'],
    matches: only('install', 'i', 'fetch'),
    manifests: [node, ['pnpm-lock.yaml']],
    optional: ['pnpm-workspace.yaml', '.npmrc'],
  },
  { name: 'bun', programs: ['bun'], matches: only('install', 'i'), manifests: [node, ['bun.lock', 'bun.lockb']] },
  {
    name: 'poetry',
    programs: ['poetry'],
    matches: only('install', 'sync'),
    manifests: [['pyproject.toml'], ['poetry.lock']],
    run: withFlag('--no-root'),
  },
  {
    name: 'uv',
    programs: ['uv'],
    matches: only('sync'),
    manifests: [['pyproject.toml'], ['uv.lock']],
    run: withFlag('--no-install-project'),
  },
  {
    name: 'pipenv',
    programs: ['pipenv'],
    matches: only('install', 'sync'),
    manifests: [['Pipfile'], ['Pipfile.lock']],
  },
  {
    name: 'go',
    programs: ['go'],
    matches: (args) => args[0] === 'mod' && args[1] === 'download',
    manifests: [['go.mod'], ['go.sum']],
  },
  {
    name: 'cargo',
    programs: ['cargo'],
    matches: first('fetch', 'build'),
    manifests: [['Cargo.toml'], ['Cargo.lock']],
    // Without a target there is no package to fetch for.
    run: instead(`mkdir -p src && echo 'fn main() {}' > src/main.rs && cargo fetch`),
  },
  { name: 'bundler', programs: ['bundle'], matches: only('', 'install'), manifests: [['Gemfile'], ['Gemfile.lock']] },
  {
    name: 'composer',
    programs: ['composer'],
    matches: only('install', 'i'),
    manifests: [['composer.json'], ['composer.lock']],
    run: withFlag('--no-scripts'),
  },
  {
    name: 'maven',
    programs: ['mvn', 'mvnw'],
    matches: (args) => args.some((word) => /^dependency:(?:go-offline|resolve)$/.test(word)),
    manifests: [['pom.xml']],
  },
  {
    name: 'gradle',
    programs: ['gradle', 'gradlew'],
    matches: first('dependencies', 'build', 'assemble'),
    manifests: [
      ['build.gradle', 'build.gradle.kts'],
      ['settings.gradle', 'settings.gradle.kts'],
    ],
    optional: ['gradle.properties', 'gradle', 'gradlew'],
    run: (command) => command.replace(/\b(?:build|assemble)\b.*/, 'dependencies'),
  },
  { name: 'mix', programs: ['mix'], matches: first('deps.get'), manifests: [['mix.exs'], ['mix.lock']] },
];

/** What a command installs by a manifest; undefined for every other command. */
export function installationOf([program = '', ...args]: readonly string[]): Installation | undefined {
  const pip = requirementsOf(program, args);
  const command = [program, ...args].join(' ');
  if (pip.length > 0) {
    return { manager: 'pip', command, manifests: pip.map((file) => [file]), optional: [], run: command };
  }
  const found = managers.find(({ programs, matches }) => programs.includes(program) && matches(args));
  if (found === undefined) return undefined;
  const { name, manifests, optional = [], run } = found;
  return { manager: name, command, manifests, optional, run: run?.(command) ?? command };
}

/** The files of `pip install -r file`. */
function requirementsOf(program: string, args: readonly string[]): readonly string[] {
  const words = /^python[\d.]*$/.test(program) && args[0] === '-m' ? args.slice(1) : [program, ...args];
  const from = words[0] === 'uv' ? 1 : 0;
  if (!/^pip[\d.]*$/.test(words[from] ?? '') || !words.slice(from + 1).includes('install')) return [];
  return words.flatMap((word, index) => {
    if (word === '-r' || word === '--requirement') return words[index + 1] ?? [];
    return /^(?:-r|--requirement=)(.+)$/.exec(word)?.[1] ?? [];
  });
}
