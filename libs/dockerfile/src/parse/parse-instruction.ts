import { invalid } from '../invalid.ts';
import { parseJsonArray } from '../lex/json-array.ts';
import { splitBlank, trim } from '../lex/space.ts';
import { splitCommand } from '../lex/split-command.ts';
import type { From, Instruction, Listed, Single } from './ast.ts';
import { parseFlags } from './flags.ts';
import { parseArgDeclarations, parseKeyValues } from './key-values.ts';
import { parseCopy } from './parse-copy.ts';
import { parseFrom } from './parse-from.ts';
import { parseHealthcheck } from './parse-healthcheck.ts';
import { parseOnbuild } from './parse-onbuild.ts';
import { parseCommand, parseRun } from './parse-run.ts';
import type { ParseRequest } from './request.ts';
import { didYouMean } from './suggest.ts';

type Parser = (request: ParseRequest) => From | Instruction;

const parsers: Readonly<Record<string, Parser>> = {
  add: (request) => parseCopy('add', request),
  arg: ({ keyword, flags, rest, escape, located }) => {
    parseFlags(keyword, flags);
    return { ...located, kind: 'arg', args: parseArgDeclarations(rest, escape) };
  },
  cmd: (request) => parseCommand('cmd', request),
  copy: (request) => parseCopy('copy', request),
  entrypoint: (request) => parseCommand('entrypoint', request),
  env: (request) => parsePairs('env', request),
  expose: (request) => {
    const items = parseList('expose', request, splitBlank(request.rest));
    return { ...items, items: items.items.toSorted() };
  },
  from: parseFrom,
  healthcheck: parseHealthcheck,
  label: (request) => parsePairs('label', request),
  maintainer: (request) => parseSingle('maintainer', request),
  onbuild: (request) =>
    parseOnbuild(request, (trigger) => {
      parseInstruction({ ...request, ...splitCommand(trigger, request.escape) });
    }),
  run: parseRun,
  shell: (request) => {
    const items = parseJsonArray(request.rest);
    if (request.rest === '' || items?.length === 0)
      throw invalid('SHELL requires at least one argument', { hint: 'such as SHELL ["/bin/bash", "-c"]' });
    if (items === undefined) {
      throw invalid('SHELL requires the arguments to be in JSON form', { hint: 'such as SHELL ["/bin/bash", "-c"]' });
    }
    return parseList('shell', request, items);
  },
  stopsignal: (request) => parseSingle('stopsignal', request),
  user: (request) => parseSingle('user', request),
  volume: (request) => {
    const paths = (parseJsonArray(request.rest) ?? splitBlank(request.rest)).map(trim);
    if (request.rest !== '' && paths.includes(''))
      throw invalid('VOLUME specified can not be an empty string', { hint: 'name a path, such as VOLUME /data' });
    return parseList('volume', request, paths);
  },
  workdir: (request) => parseSingle('workdir', request),
};

/** @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED */
export function parseInstruction(request: ParseRequest): From | Instruction {
  const name = request.keyword.toLowerCase();
  const parser = Object.hasOwn(parsers, name) ? parsers[name] : undefined;
  if (parser !== undefined) return parser(request);
  const known = Object.keys(parsers).map((keyword) => keyword.toUpperCase());
  throw invalid(`unknown instruction: ${request.keyword}${didYouMean(request.keyword, known, false)}`, {
    hint: `instructions are ${known.join(', ')}`,
  });
}

function parsePairs(kind: 'env' | 'label', { keyword, flags, rest, escape, located }: ParseRequest): Instruction {
  parseFlags(keyword, flags);
  return { ...located, kind, ...parseKeyValues(keyword.toUpperCase(), rest, escape) };
}

function parseSingle(kind: Single['kind'], { keyword, flags, rest, located }: ParseRequest): Single {
  parseFlags(keyword, flags);
  if (rest === '')
    throw invalid(`${keyword.toUpperCase()} requires exactly one argument`, { hint: exampleOf(keyword) });
  return { ...located, kind, argument: rest };
}

function parseList(
  kind: Listed['kind'],
  { keyword, flags, rest, located }: ParseRequest,
  items: readonly string[],
): Listed {
  parseFlags(keyword, flags);
  if (rest === '' || items.length === 0)
    throw invalid(`${keyword.toUpperCase()} requires at least one argument`, { hint: exampleOf(keyword) });
  return { ...located, kind, items };
}

const examples: Readonly<Record<string, string>> = {
  WORKDIR: 'WORKDIR /app',
  USER: 'USER nobody',
  STOPSIGNAL: 'STOPSIGNAL SIGTERM',
  MAINTAINER: 'LABEL org.opencontainers.image.authors="you@example.com"',
  EXPOSE: 'EXPOSE 80',
  VOLUME: 'VOLUME /data',
  SHELL: 'SHELL ["/bin/bash", "-c"]',
};

function exampleOf(keyword: string): string {
  return `such as ${examples[keyword.toUpperCase()] ?? keyword}`;
}
