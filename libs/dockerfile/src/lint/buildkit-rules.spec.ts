import { describe, expect, test } from 'vitest';
import { FakeRegistry, lower, warnings } from '../lower/lowered.fixture.ts';
import { check, found, rulesIn } from './linted.fixture.ts';
import { rules, ruleOf } from './rules.ts';

/** Each file with all that BuildKit's linter says of it; checked against the cases of its own tests. */
const cases: readonly (readonly [name: string, text: string, ...said: string[]])[] = [
  ['stage names', 'FROM scratch AS BadStageName', "1 StageNameCasing: Stage name 'BadStageName' should be lowercase"],
  ['as', '\n#\nFROM scratch as base2', "3 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"],
  ['AS', 'from scratch AS base', "1 FromAsCasing: 'AS' and 'from' keywords' casing do not match"],
  [
    'From, which has a case of its own',
    'From scratch as base\nFROM scratch AS base2',
    "1 ConsistentInstructionCasing: Command 'From' should match the case of the command majority (uppercase)",
  ],
  [
    'frOM among lower case',
    'frOM scratch as base\nfrom scratch as base2',
    "1 ConsistentInstructionCasing: Command 'frOM' should match the case of the command majority (lowercase)",
  ],
  [
    'copy among upper case',
    'FROM scratch\ncopy Dockerfile /foo\nCOPY Dockerfile /bar',
    "2 ConsistentInstructionCasing: Command 'copy' should match the case of the command majority (uppercase)",
  ],
  [
    'COPY among lower case',
    'from scratch\nCOPY Dockerfile /foo\ncopy Dockerfile /bar',
    "2 ConsistentInstructionCasing: Command 'COPY' should match the case of the command majority (lowercase)",
  ],
  ['lower case throughout', 'from scratch\ncopy a /foo'],
  ['here-documents have no case', "FROM alpine\nRUN <<'EOT'\nenv\nEOT"],
  [
    'an empty continuation, at the end of the instruction',
    '\nFROM scratch\n# warning\nCOPY Dockerfile \\\n\n.\nCOPY Dockerfile \\\n.',
    '6 NoEmptyContinuation: Empty continuation line',
  ],
  [
    'two stages of one name',
    'FROM scratch AS b\nFROM scratch AS b',
    '2 DuplicateStageName: Duplicate stage name "b", stage names should be unique',
  ],
  [
    'reserved names',
    'FROM scratch AS scratch\nFROM scratch AS context',
    '1 ReservedStageName: Stage name should not use the same name as reserved stage "scratch"',
    '2 ReservedStageName: Stage name should not use the same name as reserved stage "context"',
  ],
  [
    'CMD in shell form',
    'FROM scratch\nCMD mycommand',
    '2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals',
  ],
  [
    'ENTRYPOINT in shell form',
    'FROM scratch\nENTRYPOINT mycommand',
    '2 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals',
  ],
  ['with a SHELL the shell is meant', 'FROM scratch AS base\nSHELL ["/s"]\nFROM base\nCMD mycommand'],
  [
    'MAINTAINER',
    'FROM scratch\nMAINTAINER me@example.org',
    '2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label',
  ],
  ['declared arguments', 'ARG base=scratch\nFROM $base'],
  ['arguments that are declared empty', 'ARG DEBUG\nFROM scratch${DEBUG}\nFROM scra${DEBUG:-tch}'],
  ['platform arguments', 'FROM --platform=$BUILDPLATFORM scratch'],
  [
    'an argument that nobody declared',
    'ARG tag=latest\nFROM busybox:${tag}${version} AS b',
    "2 UndefinedArgInFrom: FROM argument 'version' is not declared",
  ],
  [
    'a relative WORKDIR',
    'FROM scratch\nWORKDIR app/',
    '2 WorkdirRelativePath: Relative workdir "app/" can have unexpected results if the base image changes',
  ],
  ['a relative WORKDIR below an absolute one', 'FROM scratch AS a\nWORKDIR /app\nFROM a AS b\nWORKDIR subdir/'],
  ['variables that are set', 'FROM scratch AS base\nARG foo=Dockerfile\nFROM base\nCOPY $foo .\nRUN echo $PATH $x'],
  [
    'a variable before it is set',
    'FROM alpine\nCOPY $foo .\nARG foo=bar\nRUN echo $foo',
    "2 UndefinedVar: Usage of undefined variable '$foo'",
  ],
  [
    'a variable that is nearly set',
    'FROM alpine\nARG DIR_ASSETS=assets/\nCOPY $DIR_ASSET .',
    "3 UndefinedVar: Usage of undefined variable '$DIR_ASSET' (did you mean $DIR_ASSETS?)",
  ],
  [
    'PATH, mistyped',
    'FROM alpine\nENV PATH=$PAHT:/tmp/bin',
    "2 UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?)",
  ],
  [
    'instructions of which only the last counts: the earlier ones',
    'FROM scratch\nENTRYPOINT ["/a"]\nENTRYPOINT ["/b"]\nCMD ["/a"]\nCMD ["/b"]\nHEALTHCHECK CMD ["/a"]\nHEALTHCHECK CMD ["/b"]',
    ...(['2 ENTRYPOINT', '4 CMD', '6 HEALTHCHECK'] as const).map((at) =>
      at.replace(
        /^(\d+) (.*)$/,
        '$1 MultipleInstructionsDisallowed: Multiple $2 instructions should not be used in the same stage because only the last one will be used',
      ),
    ),
  ],
  ['the same in two stages', 'FROM scratch AS a\nCMD ["/a"]\nFROM a\nCMD ["/b"]'],
  [
    'ENV and LABEL without =',
    'FROM scratch\nENV testkey value\nLABEL key value',
    '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
    '3 LegacyKeyValueFormat: "LABEL key=value" should be used instead of legacy "LABEL key value" format',
  ],
  [
    '$TARGETPLATFORM',
    'FROM --platform=$TARGETPLATFORM scratch',
    '1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
  ],
  [
    '${TARGETPLATFORM}',
    'FROM --platform=${TARGETPLATFORM} scratch',
    '1 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior',
  ],
  [
    'a fixed platform',
    'FROM --platform=linux/amd64 scratch',
    '1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"',
  ],
  [
    'a fixed platform in the name',
    'FROM --platform=linux/amd64 scratch AS my_amd64_stage\nFROM --platform=linux/amd64 scratch AS linux',
  ],
  [
    'protocols in upper case',
    'FROM scratch\nEXPOSE 80/TcP 8080/TCP 8080/udp',
    "2 ExposeProtoCasing: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
    "2 ExposeProtoCasing: Defined protocol '8080/TCP' in EXPOSE instruction should be lowercase",
  ],
  [
    'ports of the host',
    'FROM scratch\nEXPOSE 127.0.0.1:80:80 [::1]:8080:8080 5000:5000 8000',
    ...['127.0.0.1:80:80', '5000:5000', '[::1]:8080:8080'].map(
      (port) =>
        `2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
    ),
  ],
];

describe('what BuildKit says of a file', () => {
  test.each(cases)('%s', async (_name, text, ...said) => {
    expect([...(await found(text))].sort()).toEqual([...said].sort());
  });

  test('secrets in ARG and ENV', async () => {
    const lines = [
      'FROM scratch',
      'ARG SECRET_PASSPHRASE',
      'ENV SUPER_Secret=foo',
      'ENV password=bar secret=baz',
      'ARG super_duper_secret_token=foo auth=bar',
      'ENV apikey=bar sunflower=foo',
      'ENV git_key=',
      'ENV PUBLIC_KEY=',
      'ARG public_token',
      'ARG SECRET_PASSPHRASE_FILE',
      'ENV password_file=bar secret_File=baz',
      'ARG AUTH_MODULE_VERSION',
      '# check=skip=SecretsUsedInArgOrEnv // allow secret in environment',
      'ENV password=bar',
      '# check=skip=all // is local to only this instruction',
      'ARG alternate_password',
    ];
    const secrets = [
      '2 ARG "SECRET_PASSPHRASE"',
      '3 ENV "SUPER_Secret"',
      '4 ENV "password"',
      '4 ENV "secret"',
      '5 ARG "super_duper_secret_token"',
      '5 ARG "auth"',
      '6 ENV "apikey"',
      '7 ENV "git_key"',
    ];
    expect(await found(lines.join('\n'))).toEqual(
      secrets.map((each) =>
        each.replace(
          /^(\d+) (.*)$/,
          '$1 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data ($2)',
        ),
      ),
    );
  });

  test('defaults that name no image, whatever the build arguments say', async () => {
    const says = async (text: string, buildArgs: Record<string, string>): Promise<unknown> =>
      found(text, { buildArgs });
    const message = (base: string): string =>
      `2 InvalidDefaultArgInFrom: Default value for ARG ${base} results in empty or invalid base image name`;
    expect(await says('ARG VERSION\nFROM busybox:$VERSION', { VERSION: 'latest' })).toEqual([
      message('busybox:$VERSION'),
    ]);
    expect(await says('ARG IMAGE\nFROM $IMAGE', { IMAGE: 'busybox' })).toEqual([message('$IMAGE')]);
    expect(await says('ARG SFX="box:"\nFROM busy${SFX}', { SFX: 'box:latest' })).toEqual([message('busy${SFX}')]);
    expect(await says('ARG VERSION=latest\nFROM busybox:${VERSION}', { VERSION: '1' })).toEqual([]);
    expect(await says('ARG V=""\nFROM busybox:stable${V}', { V: '-musl' })).toEqual([]);
    expect(await says('ARG V\nFROM busybox:stable${V}', { V: '-musl' })).toEqual([]);
  });

  test('descriptions, where the experimental rule is asked for', async () => {
    const text = [
      '# bar this is the bar',
      'ARG foo=bar',
      '# BasE this is the BasE image',
      'FROM scratch AS base',
      '# version is fine',
      'ARG version=latest',
      '# definitely a bad comment',
      'ARG foo=baz bar=qux',
      '# definitely no description',
      '#',
      'ARG bit=bat',
    ].join('\n');
    expect(await found(text)).toEqual([]);
    const comment = (line: number, what: string, example: string): string =>
      `${line} InvalidDefinitionDescription: Comment for ${what} should follow the format: \`# ${example} <description>\``;
    const expected = [comment(3, 'ARG', 'foo'), comment(5, 'FROM', 'base'), comment(9, 'ARG', '<arg_key>')];
    expect(await found(`# check=experimental=InvalidDefinitionDescription\n${text}`)).toEqual(expected);
    expect(await found(`# check=experimental=all;skip=all\n${text}`)).toEqual(expected);
    expect(await found(`# check=experimental=all;skip=InvalidDefinitionDescription\n${text}`)).toEqual([]);
  });

  test('an image for another platform', async () => {
    class Arm extends FakeRegistry {
      override async resolve(...asked: Parameters<FakeRegistry['resolve']>): ReturnType<FakeRegistry['resolve']> {
        const image = await super.resolve(...asked);
        return { ...image, config: { ...image.config, architecture: 'arm64' } };
      }
    }
    expect(await found('FROM scratch\nCOPY --from=busybox:1 a b', {}, new Arm())).toEqual([
      '2 InvalidBaseImagePlatform: Base image busybox:1 was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
    ]);
  });

  test('what .dockerignore excludes', async () => {
    const ignoring = (...ignored: string[]) => ({
      contextFiles: { has: () => true, below: () => [], excludes: (path: string) => ignored.includes(path) },
    });
    const text =
      'FROM scratch\nCOPY ./Dockerfile .\nADD Dockerfile /windy\nFROM scratch AS b\nCOPY --from=0 Dockerfile /';
    expect(await found(text, ignoring('Dockerfile'))).toEqual([
      '2 CopyIgnoredFile: Attempting to Copy file "Dockerfile" that is excluded by .dockerignore',
      '3 CopyIgnoredFile: Attempting to Add file "Dockerfile" that is excluded by .dockerignore',
    ]);
    expect(await found('FROM scratch\nCOPY . .', ignoring('Dockerfile'))).toEqual([]);
    expect(await rulesIn('FROM scratch\nCOPY . .', ignoring(''))).toEqual(['2 CopyIgnoredFile']);
    expect(
      await found('FROM scratch\nCOPY Dockerfile .', {
        contextFiles: { has: () => true, below: () => [], excludes: undefined },
      }),
    ).toEqual([]);
  });
});

describe('check=', () => {
  const bad = 'FROM scratch as base\ncopy Dockerfile .\n';
  test.each([
    ['skip=all', []],
    ['skip=all;error=true', []],
    ['skip=ConsistentInstructionCasing,FromAsCasing', []],
    ['skip=ConsistentInstructionCasing', ['2 FromAsCasing']],
    ['error=false', ['2 FromAsCasing', '3 ConsistentInstructionCasing']],
  ])('%s', async (options, said) => {
    expect(await rulesIn(`#check=${options}\n${bad}`)).toEqual(said);
  });

  test('error=true lists what was found', async () => {
    const text = `#check=skip=ConsistentInstructionCasing;error=true\n${bad}`;
    const { findings, error } = await check(text);
    expect(findings.map(({ rule }) => rule)).toEqual(['FromAsCasing']);
    expect(error).toMatchObject({ code: 'DOCKERFILE_INVALID', line: 2 });
    expect(error?.message).toBe(
      "lint violation found for rules: FromAsCasing (line 2: FromAsCasing: 'as' and 'FROM' keywords' casing do not match)",
    );
    expect(error?.hint).toContain('# check=skip=RULE');
    await expect(lower(text)).rejects.toMatchObject({
      message: error?.message,
      warnings: [{ rule: 'FromAsCasing', line: 2 }],
    });
  });

  test('BUILDKIT_DOCKERFILE_CHECK stands for the directive', async () => {
    const given = (value: string) => ({ buildArgs: { BUILDKIT_DOCKERFILE_CHECK: value } });
    expect(await rulesIn(`#check=error=true\n${bad}`, given('skip=all'))).toEqual([]);
    expect(
      (await check(`#check=skip=all\n${bad}`, given('skip=ConsistentInstructionCasing;error=true'))).error,
    ).toMatchObject({
      line: 2,
    });
    expect(warnings(await lower('FROM scratch', given('skip=all')))).toEqual([]);
    await expect(lower('FROM scratch', given('skip'))).rejects.toMatchObject({
      message: 'the build argument BUILDKIT_DOCKERFILE_CHECK: invalid check option "skip"',
    });
  });
});

describe('a check of a whole file', () => {
  const stages = 'FROM scratch AS first\nCOPY $foo .\nENV a b\n\nFROM scratch AS second\nCOPY $bar .';
  test('looks at every stage, a build at those that it needs', async () => {
    expect(await rulesIn(stages)).toEqual(['2 UndefinedVar', '3 LegacyKeyValueFormat', '6 UndefinedVar']);
    expect(await rulesIn(stages, { target: 'second' })).toEqual(['6 UndefinedVar']);
    expect((await lower(stages)).warnings.map(({ rule, line }) => [rule, line])).toEqual([['UndefinedVar', 6]]);
  });

  test('says what it found before an error', async () => {
    const { findings, error } = await check('FROM scratch AS BadStageName\nMAINTAINER me\nBADCMD');
    expect(findings.map(({ rule, line }) => [rule, line])).toEqual([
      ['StageNameCasing', 1],
      ['MaintainerDeprecated', 2],
    ]);
    expect(error).toMatchObject({ message: 'unknown instruction: BADCMD', line: 3 });
  });

  test('goes on without an image that cannot be had, and without what hangs on it', async () => {
    const { findings, notes, error } = await check('FROM missing:1\nCOPY $JAVA_HOME/x .\nCMD a\nWORKDIR b');
    expect(error).toBeUndefined();
    expect(findings.map(({ rule }) => rule)).toEqual(['WorkdirRelativePath']);
    expect(notes).toEqual([expect.stringContaining('docker.io/library/missing:1 cannot be looked at')]);
  });
});

test('every rule has a description, and a page of its own name', () => {
  for (const name of Object.keys(rules) as (keyof typeof rules)[]) {
    const { description, url } = ruleOf(name);
    expect(description).not.toBe('');
    const kebab = name.replaceAll(/([a-z])([A-Z])|([A-Z]+)([A-Z][a-z])/g, '$1$3-$2$4').toLowerCase();
    if (url !== undefined) expect(url).toBe(`https://docs.docker.com/go/dockerfile/rule/${kebab}/`);
  }
});
