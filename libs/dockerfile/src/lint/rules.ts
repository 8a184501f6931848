/** One check: what it is called, and where a person reads more. */
export interface Rule {
  /** one sentence on what it asks for */
  readonly description: string;
  /** a page on it; Kiln's own rules are in docs/dockerfile.md */
  readonly url?: string;
  /** looked at only where `experimental=` names it */
  readonly experimental?: true;
}

const docs = (page: string): string => `https://docs.docker.com/go/dockerfile/rule/${page}/`;

/** BuildKit's checks, under its names. https://docs.docker.com/reference/build-checks/ */
const shared = {
  StageNameCasing: { description: 'Names of stages are in lower case', url: docs('stage-name-casing') },
  FromAsCasing: { description: 'AS is written in the case of its FROM', url: docs('from-as-casing') },
  NoEmptyContinuation: {
    description: 'Empty lines within an instruction will be an error one day',
    url: docs('no-empty-continuation'),
  },
  ConsistentInstructionCasing: {
    description: 'All instructions of a file are in upper case, or all in lower case',
    url: docs('consistent-instruction-casing'),
  },
  DuplicateStageName: { description: 'A name belongs to one stage', url: docs('duplicate-stage-name') },
  ReservedStageName: {
    description: 'The names scratch and context mean something else already',
    url: docs('reserved-stage-name'),
  },
  JSONArgsRecommended: {
    description: 'CMD and ENTRYPOINT in JSON form get signals themselves, without a shell in between',
    url: docs('json-args-recommended'),
  },
  MaintainerDeprecated: {
    description: 'The label org.opencontainers.image.authors has taken the place of MAINTAINER',
    url: docs('maintainer-deprecated'),
  },
  UndefinedArgInFrom: {
    description: 'What FROM uses is declared with ARG before the first FROM',
    url: docs('undefined-arg-in-from'),
  },
  WorkdirRelativePath: {
    description: 'The first WORKDIR is absolute, as a base image may change its own',
    url: docs('workdir-relative-path'),
  },
  UndefinedVar: { description: 'Variables are set before they are used', url: docs('undefined-var') },
  MultipleInstructionsDisallowed: {
    description: 'Of CMD, ENTRYPOINT and HEALTHCHECK only the last in a stage counts',
    url: docs('multiple-instructions-disallowed'),
  },
  LegacyKeyValueFormat: {
    description: 'ENV and LABEL are written with = between name and value',
    url: docs('legacy-key-value-format'),
  },
  InvalidBaseImagePlatform: { description: 'The base image is for the platform that is built' },
  RedundantTargetPlatform: {
    description: 'FROM takes $TARGETPLATFORM without being told',
    url: docs('redundant-target-platform'),
  },
  SecretsUsedInArgOrEnv: {
    description: 'Secrets in ARG and ENV stay in the image or its history',
    url: docs('secrets-used-in-arg-or-env'),
  },
  InvalidDefaultArgInFrom: {
    description: 'Without build arguments, FROM still names an image',
    url: docs('invalid-default-arg-in-from'),
  },
  FromPlatformFlagConstDisallowed: {
    description: 'FROM --platform with a fixed value builds one platform alone',
    url: docs('from-platform-flag-const-disallowed'),
  },
  CopyIgnoredFile: { description: 'What is copied is not excluded by .dockerignore', url: docs('copy-ignored-file') },
  InvalidDefinitionDescription: {
    description: 'A comment directly above a stage or an argument begins with its name, and describes it',
    url: docs('invalid-definition-description'),
    experimental: true,
  },
  ExposeProtoCasing: { description: 'Protocols of EXPOSE are in lower case', url: docs('expose-proto-casing') },
  ExposeInvalidFormat: {
    description: 'EXPOSE names ports of the container, neither addresses nor ports of a host',
    url: docs('expose-invalid-format'),
  },
} as const satisfies Record<string, Rule>;

/** What Kiln looks at besides. */
const own = {
  TypographicQuote: { description: 'Quotes are straight ones: typographic quotes are letters like all others' },
  TypographicDash: { description: 'Flags begin with hyphens: a dash makes the flag an argument' },
  InvisibleCharacter: { description: 'Blanks are ordinary ones: others are letters to a shell' },
  UnknownPackageCommand: { description: 'Package managers are called with a command that they have' },
  PromptingInstall: { description: 'Nobody is there to answer what a package manager asks' },
  CopyBeforeInstall: { description: 'Dependencies are installed before the sources that change with every build' },
} as const satisfies Record<string, Rule>;

/** Every rule, by its name. */
export const rules = { ...shared, ...own };
export type RuleName = keyof typeof rules;

export function ruleOf(name: RuleName): Rule {
  return rules[name];
}
