import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '#oci';
import { type Cost, Hint, hintsOf } from './hints.ts';
import type { FileChange, MissChange, OwnCause, StepRef } from './miss-cause.ts';

const vertex = digestOf('v');
const step = (name: string): StepRef => ({ vertex, name, line: 1 });
const file = (path: string): FileChange => ({ path, change: 'changed', what: ['content'] });
const files = (paths: readonly string[], total = paths.length): MissChange => ({
  ...{ kind: 'files', source: 'context', total },
  files: paths.map(file),
});
const changed = (...changes: MissChange[]): OwnCause => ({ kind: 'changed', changes });

interface Given {
  readonly copy?: string;
  readonly below?: readonly string[];
  readonly cause?: OwnCause;
  readonly costMs?: number;
}

/** For files of a `COPY . .` when nothing else is said. */
function hints({ copy = '[3/6] COPY . .', below = [], cause = changed(files(['src/a.js'])), costMs = 60_000 }: Given) {
  return hintsOf({ step: step(copy), cause, followed: below.map(step), costMs });
}
const lines = (given: Given): readonly string[] => hints(given).flatMap(({ snippet }) => snippet?.lines ?? []);

const along = '; what else it reads (settings, workspaces, its scripts) goes along';

describe('what to do about a step that ran', () => {
  it.each([
    ['npm ci', 'COPY package.json package-lock.json ./'],
    ['npm install --omit=dev', 'COPY package.json package-lock.json* ./'],
    ['NODE_ENV=production npm ci', 'COPY package.json package-lock.json ./'],
    ['yarn install --frozen-lockfile', 'COPY package.json yarn.lock ./'],
    ['yarn', 'COPY package.json yarn.lock* ./'],
    ['pnpm install', 'COPY package.json pnpm-lock.yaml* ./'],
    ['pnpm i --frozen-lockfile', 'COPY package.json pnpm-lock.yaml ./'],
    ['pip install --no-cache-dir -r requirements-dev.txt', 'COPY requirements-dev.txt ./'],
    ['python3 -m pip install -r requirements.txt', 'COPY requirements.txt ./'],
    ['poetry install --no-root', 'COPY pyproject.toml poetry.lock* ./'],
    ['uv sync --frozen --no-install-project', 'COPY pyproject.toml uv.lock ./'],
    ['go mod download', 'COPY go.mod go.sum* ./'],
    ['bundle install', 'COPY Gemfile Gemfile.lock* ./'],
    ['composer install --no-scripts', 'COPY composer.json composer.lock* ./'],
  ])('fetches before the rest is copied: %s', (command, copy) => {
    expect(lines({ below: [`[4/6] RUN ${command}`] })).toEqual([copy, `RUN ${command}`, 'COPY . .']);
  });

  it.each([
    'npm run build',
    'npm install -g pm2',
    'npm install express',
    'npm --prefix web ci',
    'yarn build',
    'yarn add left-pad',
    'pip install -e . -r requirements.txt',
    'pip install flask',
    'poetry install',
    'uv sync',
    'composer install',
    'echo "npm ci"',
    'npm ci || true',
    'npm ci; npm run build',
    '(npm ci)',
    'npm ci & wait',
    '["npm", "ci"]',
    '<<EOF npm ci',
    'cd web && npm ci',
    'make && npm ci',
    'npm ci --workspace=web',
    'npm ci --workspaces',
    'npm ci -ws',
    'yarn --cwd=web',
    'pnpm install -r --frozen-lockfile',
    'pnpm install --filter=web',
    'pnpm install --dir=web',
    'poetry install --no-root --directory=web',
    'uv sync --no-install-project --package=web',
    'composer install --no-scripts -d=web',
    'bundle install --gemfile=web/Gemfile',
  ])('leaves alone what reads more, or what it does not understand: %s', (command) => {
    expect(lines({ below: [`[4/6] RUN ${command}`], costMs: 0 })).toEqual([]);
  });

  it('parts a step that fetches and builds', () => {
    const below = [
      '[build 4/6] RUN --mount=type=cache,target=/root/.npm npm ci && npm cache clean --force && npm run build',
    ];
    expect(hints({ copy: '[build 3/6] COPY . /app', below })).toEqual([
      {
        text: `copy package.json and package-lock.json before npm ci, and the rest (COPY . /app) after it${along}`,
        snippet: {
          file: 'Dockerfile',
          lines: [
            'COPY package.json package-lock.json /app/',
            'RUN --mount=type=cache,target=/root/.npm npm ci',
            'COPY . /app',
            'RUN --mount=type=cache,target=/root/.npm npm run build',
          ],
        },
      },
    ]);
  });

  it('runs an install before files that it does not read', () => {
    expect(lines({ copy: '[3/6] COPY src ./src', below: ['[4/6] RUN npm ci'] })).toEqual([
      'RUN npm ci',
      'COPY src ./src',
    ]);
  });

  it.each([
    ['a folder that may hold what it reads', '[3/6] COPY web .', ['[4/6] RUN npm ci']],
    ['files that may be what it reads', '[3/6] COPY web/* ./', ['[4/6] RUN npm ci']],
    ['a place that may be where it runs', '[3/6] COPY web /app/', ['[4/6] RUN npm ci']],
    ['a folder that it goes into', '[3/6] COPY web ./web', ['[4/6] WORKDIR /app/web', '[5/6] RUN npm ci']],
    ['a step that may make what it reads', '[3/6] COPY . .', ['[4/6] RUN ./settings.sh', '[5/6] RUN npm ci']],
    ['a folder below what was copied', '[3/6] COPY . .', ['[4/6] WORKDIR /app/web', '[5/6] RUN npm ci']],
    [
      'the same for each platform',
      '[linux/arm64 3/6] COPY . .',
      ['[linux/arm64 4/6] WORKDIR /a', '[linux/arm64 5/6] RUN npm ci'],
    ],
    ['a COPY that leaves files out', '[3/6] COPY --exclude=*.md . .', ['[4/6] RUN npm ci']],
    ['a COPY that keeps folders', '[3/6] COPY --parents . /app/', ['[4/6] RUN npm ci']],
  ])('moves no install over %s', (_, copy, below) => {
    expect(lines({ copy, below, costMs: 0 })).toEqual([]);
  });

  it('keeps whose files are', () => {
    const copy = '[linux/arm64 build 3/6] COPY --chown=node:node --link . .';
    expect(lines({ copy, below: ['[linux/arm64 build 4/6] RUN npm ci'] })).toEqual([
      ...['COPY --chown=node:node --link package.json package-lock.json ./', 'RUN npm ci'],
      'COPY --chown=node:node --link . .',
    ]);
  });

  it('does not say so when the install had to run, or runs in another stage', () => {
    const lock = changed(files(['src/a.js', 'package-lock.json']));
    expect(lines({ cause: lock, below: ['[4/6] RUN npm ci'], costMs: 0 })).toEqual([]);
    expect(lines({ copy: '[a 3/6] COPY . .', below: ['[b 4/6] RUN npm ci'], costMs: 0 })).toEqual([]);
  });

  it('keeps what was fetched where fetching takes long', () => {
    const cause = changed(files(['package-lock.json']));
    const below = ['[4/6] RUN npm ci'];
    expect(lines({ cause, below })).toEqual(['RUN --mount=type=cache,target=/root/.npm npm ci']);
    expect(lines({ cause, below, costMs: 4_999 })).toEqual([]);
    expect(lines({ cause, below: ['[4/6] RUN --mount=type=cache,target=/x npm ci'] })).toEqual([]);
    expect(lines({ cause, below: ['[4/6] RUN pip install --no-cache-dir -r package-lock.json'] })).toEqual([]);
    expect(lines({ below: ['[4/6] RUN --network=none go build ./...'] })).toEqual([
      'RUN --network=none --mount=type=cache,target=/root/.cache/go-build go build ./...',
    ]);
  });

  it.each([
    'npm ci && npm cache clean --force',
    'npm ci --offline',
    'pip install flask && rm -rf /root/.cache',
    'pip install flask && pip cache purge',
    'go build ./... && go clean -cache',
    'mvn -o package',
    'mvn package --offline',
    'cargo build --frozen',
    '--network=none cargo build',
    '--mount=type=bind,target=. --network=none npm ci',
  ])('lays no cache over what a step needs, or cleans: %s', (command) => {
    expect(lines({ cause: changed(files(['package-lock.json'])), below: [`[4/6] RUN ${command}`] })).toEqual([]);
  });

  it('leaves the settings of Maven where they are', () => {
    expect(lines({ below: ['[4/6] RUN mvn -q package'] })).toEqual([
      'RUN --mount=type=cache,target=/root/.m2/repository mvn -q package',
    ]);
  });

  it('leaves out of the context what hardly any step reads, when nothing else changed', () => {
    const cause = changed(files(['.git/HEAD', '.git/index', 'web/.DS_Store']));
    expect(hints({ cause, below: ['[4/6] RUN npm ci'] })).toEqual([
      {
        text: 'where no step reads .git, **/.DS_Store, leave it out of the context: then COPY . . runs for it no more',
        snippet: { file: '.dockerignore', lines: ['.git', '**/.DS_Store'] },
      },
    ]);
    expect(lines({ cause: changed(files(['.git/HEAD', 'a.js'])) })).toEqual([]);
    expect(lines({ cause: changed(files(['.git/HEAD'], 30)) })).toEqual([]);
    expect(lines({ cause, copy: '[3/6] COPY .git ./.git' })).toEqual([]);
    const modules = changed(files(['node_modules/a/index.js']));
    expect(lines({ cause: modules, below: ['[4/6] RUN npm ci'] })).toEqual(['**/node_modules']);
    expect(lines({ cause: modules })).toEqual([]);
  });

  it('stays with an image whose tag moves', () => {
    const [old, now] = [digestOf('a'), digestOf('b')];
    const image = (oldName: string, before: Digest | null): OwnCause =>
      changed({ kind: 'image', oldName, newName: 'node:20', old: before, new: now });
    expect(lines({ cause: image('node:20', old) })).toEqual([`FROM node:20@${now}`]);
    const stage = { cause: image('node:20', old), copy: '[build 1/5] FROM node:20' };
    expect(lines(stage)).toEqual([`FROM node:20@${now} AS build`]);
    expect(lines({ ...stage, copy: '[stage-1 1/5] FROM node:20' })).toEqual([`FROM node:20@${now}`]);
    expect(lines({ cause: image('node:18', old) })).toEqual([]);
    expect(lines({ cause: image('node:20', null) })).toEqual([]);
  });

  it('declares an argument where it is used', () => {
    const variable = (name: string, old = '1', from: 'ARG' | 'ENV' = 'ARG'): OwnCause =>
      changed({ kind: 'variable', from, name, old, new: '2' });
    const given = { copy: '[2/6] RUN apt-get update', below: ['[3/6] RUN make'] };
    expect(hints({ ...given, cause: variable('FLAVOUR') })[0]?.text).toBe(
      'FLAVOUR counts for every RUN below its ARG; declare it where it is used',
    );
    expect(hints({ ...given, cause: variable('GIT_SHA') })[0]?.text).toContain('--label');
    expect(hints({ ...given, copy: '[2/6] RUN make V=$FLAVOUR', cause: variable('FLAVOUR') })).toEqual([]);
    expect(hints({ ...given, below: [], cause: variable('FLAVOUR') })).toEqual([]);
    expect(hints({ ...given, cause: variable('FLAVOUR', '1', 'ENV') })).toEqual([]);
    expect(lines({ ...given, cause: variable('NPM_TOKEN', '***') })).toEqual([
      'RUN --mount=type=secret,id=npm_token,env=NPM_TOKEN apt-get update',
    ]);
    // The default of an ARG stands in its line; what was written on several lines cannot be written on one.
    expect(lines({ ...given, cause: variable('FLAVOUR') })).toEqual([]);
    for (const copy of ['[2/6] RUN <<EOF make EOF', '[2/6] WORKDIR $NPM_TOKEN', '[2/6] RUN make …'])
      expect(hints({ copy, cause: variable('NPM_TOKEN', '***') })).toMatchObject([{ snippet: null }]);
  });

  it('is told of the farm, too', () => {
    const at = '2026-01-01T00:00:00.000Z';
    expect(hints({ cause: { kind: 'gone', reason: 'evicted', at } })).toHaveLength(1);
    expect(hints({ cause: { kind: 'gone', reason: 'disowned', at } })).toEqual([]);
    expect(hints({ cause: { kind: 'noCache', flag: '--no-cache', stage: '' } })).toHaveLength(1);
    expect(hints({ cause: { kind: 'neverBuilt' } })).toEqual([]);
  });

  it('is one line each, and never an instruction that was there already', () => {
    const word = fc.constantFrom(
      'npm',
      'ci',
      '&&',
      'run',
      'go',
      'build',
      '-r',
      'x.txt',
      'pip',
      'install',
      '\\',
      '"',
      '$A',
      '\n',
      '--mount=type=cache,target=/c',
      '.',
    );
    const text = fc.array(word, { maxLength: 8 }).map((words) => words.join(' '));
    const instruction = fc
      .tuple(fc.constantFrom('[1/2] RUN ', '[a 1/2] COPY ', 'RUN ', ''), text)
      .map((parts) => parts.join(''));
    const path = fc.oneof(fc.string(), fc.constantFrom('.git/HEAD', 'package.json', 'x.txt', 'node_modules/a'));
    const cause = fc.array(path, { maxLength: 4 }).map((paths) => changed(files(paths)));
    const given = fc.record({ copy: instruction, below: fc.array(instruction, { maxLength: 3 }), cause });
    fc.assert(
      fc.property(given, ({ copy, below, cause: why }) => {
        const cost: Cost = { step: step(copy), cause: why, followed: below.map(step), costMs: 9_999 };
        for (const hint of hintsOf(cost)) {
          Hint.parse(hint);
          for (const line of hint.snippet?.lines ?? []) expect(line).toMatch(/^\S.*\S$|^\S$/);
          expect(hint.snippet?.lines.every((line) => below.some((each) => each.endsWith(line)))).not.toBe(true);
        }
      }),
    );
  });
});
