import { describe, expect, test } from 'vitest';
import { failureHint } from './failure-hint.ts';
import { filesOf, found, rulesIn } from './linted.fixture.ts';

const after = (line: string): string => `FROM scratch\n${line}`;

describe('characters of word processors', () => {
  test.each([
    ['CMD [“npm”, “start”]', 'TypographicQuote', 'write "'],
    ['ENV NAME=“app”', 'TypographicQuote', 'U+201C'],
    ['LABEL a=‘b’', 'TypographicQuote', "write '"],
    ['RUN echo “hello”', 'TypographicQuote', 'a letter like all others'],
    ['COPY –from=build /a /b/', 'TypographicDash', 'write --from'],
    ['COPY —chown=1 /a /b/', 'TypographicDash', 'write --chown'],
    ['RUN apk add –no-cache curl', 'TypographicDash', 'write --no-cache'],
    ['RUN tar –x -f a', 'TypographicDash', 'write -x'],
    ['RUN apk\u00a0add curl', 'InvisibleCharacter', 'a non-breaking space (U+00A0): write an ordinary space'],
    ['RUN make\u200b all', 'InvisibleCharacter', 'take it out'],
    ['WORKDIR /a\u3000b', 'InvisibleCharacter', 'U+3000'],
  ])('%s', async (line, rule, says) => {
    const [first] = await found(`# check=skip=JSONArgsRecommended,UnknownPackageCommand\n${after(line)}`);
    expect(first).toMatch(new RegExp(`^3 ${rule}: `));
    expect(first).toContain(says);
  });

  test.each([
    'RUN echo "–x"',
    "RUN echo '“quoted”'",
    'RUN echo –x',
    'RUN printf –from',
    'RUN echo a – b',
    'RUN echo hi # “comment” –x',
    'LABEL description="it’s “fine” – really"',
    'LABEL description=don’t',
    'ENV TEXT="a\u00a0b"',
    'CMD ["echo", "“hello”"]',
    'RUN <<EOF\ncat “x” –y\nEOF',
    'RUN echo \\\n  # “a comment” within\n  done',
    'MAINTAINER Anne–Marie',
  ])('not in %s', async (line) => {
    expect(await found(`# check=skip=MaintainerDeprecated\n${after(line)}`)).toEqual([]);
  });
});

describe('package managers', () => {
  test.each([
    ['RUN apt add curl', '2 UnknownPackageCommand: apt has no command add: write apt install'],
    ['RUN apk install curl', '2 UnknownPackageCommand: apk has no command install: write apk add'],
    ['RUN set -ex; sudo yum -q add curl', '2 UnknownPackageCommand: yum has no command add: write yum install'],
    ['RUN ["apk", "install", "curl"]', '2 UnknownPackageCommand: apk has no command install: write apk add'],
    ['RUN ["/bin/sh", "-c", "apk install curl"]', '2 UnknownPackageCommand: apk has no command install: write apk add'],
    ['RUN <<EOF\napk install curl\nEOF', '2 UnknownPackageCommand: apk has no command install: write apk add'],
    ['RUN if true; then pip3 add x; fi', '2 UnknownPackageCommand: pip3 has no command add: write pip3 install'],
    [
      'RUN apt-get update && apt-get install curl',
      '2 PromptingInstall: apt-get install asks before it goes on, and nobody answers: write apt-get install -y',
    ],
    [
      'RUN DEBIAN_FRONTEND=noninteractive apt-get -o A::B=install install curl',
      '2 PromptingInstall: apt-get install asks before it goes on, and nobody answers: write apt-get install -y',
    ],
    [
      'RUN (dnf install curl)',
      '2 PromptingInstall: dnf install asks before it goes on, and nobody answers: write dnf install -y',
    ],
  ])('%s', async (line, says) => {
    expect(await found(after(line))).toEqual([says]);
  });

  test.each([
    'RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*',
    'RUN apt-get -yq install curl',
    'RUN apt-get install -qq curl',
    'RUN apt-get $FLAGS install curl',
    'RUN yes | apt-get install curl',
    'RUN echo "apt add curl"',
    'RUN echo apt add',
    'RUN cat <<EOF > /help\napk install curl\nEOF',
    'RUN <<EOF\n#!/usr/bin/env python3\napk install curl\nEOF',
    'RUN # apk install curl\\\ntrue',
    'RUN echo \'APT::Get::Assume-Yes "true";\' > /etc/apt/apt.conf.d/y\nRUN apt-get install curl',
    'RUN npm add left-pad',
    'RUN apk add --virtual install curl',
    'CMD ["apk", "install"]',
  ])('not in %s', async (line) => {
    expect(await rulesIn(after(line))).toEqual([]);
  });
});

describe('sources before dependencies', () => {
  const node = filesOf('package.json', 'package-lock.json', 'src/index.js', 'Dockerfile');
  test('names the manifests that are there, and the order', async () => {
    expect(await found('FROM node\nWORKDIR /app\nCOPY . .\nRUN npm ci', { contextFiles: node })).toEqual([
      '3 CopyBeforeInstall: COPY . . comes before npm ci (line 4), which so runs anew whenever any file changes: ' +
        'write COPY package.json package-lock.json ./ first, then RUN npm ci, then COPY . .',
    ]);
  });

  test.each([
    [
      'COPY . /srv/\nWORKDIR /srv\nRUN yarn install --frozen-lockfile',
      ['package.json', 'yarn.lock', 'a.js'],
      'COPY package.json yarn.lock /srv/ first',
    ],
    [
      'COPY . .\nRUN pnpm i',
      ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'a.js'],
      'COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./',
    ],
    [
      'COPY . .\nRUN pip install --no-cache-dir -r requirements/prod.txt',
      ['requirements/prod.txt', 'app.py'],
      'COPY requirements/prod.txt ./requirements/ first',
    ],
    [
      'COPY . .\nRUN python3 -m pip install -r requirements.txt',
      ['requirements.txt', 'app.py'],
      'COPY requirements.txt ./',
    ],
    [
      'COPY . .\nRUN poetry install',
      ['pyproject.toml', 'poetry.lock', 'app.py'],
      'then RUN poetry install --no-root, then',
    ],
    ['COPY . .\nRUN go mod download && go build', ['go.mod', 'go.sum', 'main.go'], 'COPY go.mod go.sum ./'],
    [
      'COPY . .\nRUN cargo build --release',
      ['Cargo.toml', 'Cargo.lock', 'src/main.rs'],
      "echo 'fn main() {}' > src/main.rs && cargo fetch",
    ],
    ['COPY . .\nRUN bundle install', ['Gemfile', 'Gemfile.lock', 'a.rb'], 'COPY Gemfile Gemfile.lock ./'],
    [
      'COPY . .\nRUN composer install --no-dev',
      ['composer.json', 'composer.lock', 'a.php'],
      'composer install --no-dev --no-scripts',
    ],
    ['COPY . .\nRUN ./mvnw -B dependency:go-offline', ['pom.xml', 'src/A.java'], 'COPY pom.xml ./'],
    [
      'COPY . .\nRUN gradle build',
      ['build.gradle.kts', 'settings.gradle.kts', 'src/A.java'],
      'RUN gradle dependencies',
    ],
    [
      'COPY web /web\nRUN cd /web && npm ci',
      ['web/package.json', 'web/package-lock.json', 'web/a.js'],
      'COPY web/package.json web/package-lock.json /web/ first',
    ],
    [
      'COPY . /all\nRUN cd /all/web && npm ci',
      ['web/package.json', 'web/a.js', 'a.go'],
      'COPY web/package.json /all/web/ first',
    ],
    ['ADD . .\nRUN npm install --omit=dev', ['package.json', 'a.js'], 'then ADD . .'],
  ])('%s', async (lines, files, says) => {
    const said = await found(`FROM node\n${lines}`, { contextFiles: filesOf(...files) });
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('CopyBeforeInstall');
    expect(said[0]).toContain(says);
  });

  test.each([
    ['the right order', 'COPY package*.json ./\nRUN npm ci\nCOPY . .\nRUN npm run build'],
    ['installed before', 'COPY package.json ./\nRUN npm ci\nCOPY . .\nRUN npm ci --omit=dev'],
    ['a package by name', 'COPY . .\nRUN npm install -g pm2'],
    ['a cache mount', 'COPY . .\n# check=skip=none\nRUN true --mount=type=cache,target=/root/.npm && npm ci'],
    ['another directory', 'COPY . /docs\nRUN cd /app && npm ci'],
    ['no manifest', 'COPY . .\nRUN bundle install'],
    ['another stage’s files', 'COPY --from=x . .\nRUN npm ci'],
    ['silenced at the COPY', '# check=skip=CopyBeforeInstall\nCOPY . .\nRUN npm ci'],
    ['silenced at the RUN', 'COPY . .\n# check=skip=CopyBeforeInstall\nRUN npm ci'],
  ])('not for %s', async (_what, lines) => {
    expect(await rulesIn(`FROM scratch AS x\nFROM node\n${lines}`, { contextFiles: node })).toEqual([]);
  });

  test('not where a directory holds nothing but manifests, nor where a base has installed them', async () => {
    const files = filesOf('requirements/base.txt', 'requirements/prod.txt', 'app.py', 'package.json');
    const pip = 'FROM python\nCOPY requirements /r/\nRUN pip install -r /r/base.txt';
    expect(await rulesIn(pip, { contextFiles: files })).toEqual([]);
    const based = 'FROM node AS deps\nCOPY package.json .\nRUN npm i\nFROM deps AS app\nCOPY . .\nRUN npm i';
    expect(await rulesIn(based, { contextFiles: files })).toEqual([]);
  });

  test('without a context, manifests have their usual names', async () => {
    expect((await found('FROM node\nCOPY . .\nRUN npm ci'))[0]).toContain(
      'COPY package.json package-lock.json ./ first',
    );
  });
});

test('the cause of a failure is named where it is such a character or command', () => {
  expect(failureHint('FROM a\nCOPY –from=b /x /y', 2)).toContain('write --from');
  expect(failureHint('FROM a\nENV x=“a b”', 2)).toContain('write "');
  expect(failureHint('FROM a\nRUN true && \\\n  apk install curl', 3)).toContain('write apk add');
  expect(failureHint('FROM a\nRUN make', 2)).toBeUndefined();
  expect(failureHint('FROM a\nRUN <<E', 2)).toBeUndefined();
  expect(failureHint('', 7)).toBeUndefined();
});

test('a command is looked at once, however many stages stand on it', async () => {
  const script = `RUN ${'apt add x; '.repeat(20)}`;
  const chain = Array.from({ length: 20 }, (_, index) => `FROM s${index} AS s${index + 1}`).join('\n');
  const rules = await rulesIn(`FROM base AS s0\n${script}\n${chain}`);
  expect(rules.filter((rule) => rule.endsWith('UnknownPackageCommand'))).toHaveLength(1);
});
