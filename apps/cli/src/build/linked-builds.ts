import type { LinkedBuild, LinkedContext, NamedContext } from '#protocol';
import type { z } from 'zod';
import { usageError } from '../usage.ts';
import { openContext } from './build-context.ts';
import type { BuildOptions } from './build-flags.ts';
import type { NamedLocalContext } from './local-context.ts';
import { type NamedOptions, openNamedContexts } from './named-contexts.ts';
import type { Input } from './stdin.ts';

/** A build whose result is a context of another. */
export interface LinkedSource {
  readonly options: BuildOptions;
  /** where a Dockerfile that stands in the bake file comes from */
  readonly stdin: Input;
  /** builds that are its own contexts: names of FROM to names of builds */
  readonly links: Readonly<Record<string, string>>;
}

/** What of a build's contexts is other builds, and these with all that they need. */
export interface Links {
  /** names of FROM to names of builds */
  readonly contexts: Readonly<Record<string, string>>;
  readonly builds: ReadonlyMap<string, LinkedSource>;
}

type LinkedInput = z.input<typeof LinkedBuild>;

/** Linked builds, ready to be sent. */
export interface OpenedLinks {
  readonly requests: Readonly<Record<string, NamedContext>>;
  readonly builds: Readonly<Record<string, LinkedInput>>;
  readonly local: readonly NamedLocalContext[];
  /** their Dockerfiles, as far as they can be read here */
  readonly texts: readonly { readonly text: string | undefined; readonly buildArgs: LinkedBuild['buildArgs'] }[];
}

/** Walks their directories. @throws KilnError INVALID_ARGUMENT for one whose context is no directory */
export async function openLinks(links: Links | undefined, reading: NamedOptions): Promise<OpenedLinks> {
  const requests: Record<string, NamedContext> = buildsOf(links?.contexts ?? {});
  const builds: Record<string, LinkedInput> = {};
  const local: NamedLocalContext[] = [];
  const texts: OpenedLinks['texts'][number][] = [];
  for (const [name, source] of links?.builds ?? []) {
    const opened = await openOne(name, source, reading);
    Object.assign(requests, opened.requests);
    local.push(...opened.local);
    builds[name] = opened.build;
    texts.push({ text: opened.text, buildArgs: source.options.buildArgs });
  }
  return { requests, builds, local, texts };
}

const buildsOf = (links: Readonly<Record<string, string>>): Record<string, { type: 'build'; build: string }> =>
  Object.fromEntries(Object.entries(links).map(([name, build]) => [name.toLowerCase(), { type: 'build', build }]));

interface OpenedLink extends Pick<OpenedLinks, 'requests' | 'local'> {
  readonly build: LinkedInput;
  readonly text: string | undefined;
}

async function openOne(
  name: string,
  { options, stdin, links }: LinkedSource,
  reading: NamedOptions,
): Promise<OpenedLink> {
  const { path, file, target, buildArgs, labels, platforms, noCache, noCacheFilter, run } = options;
  const context = await openContext({ path, file, stdin, ...reading });
  if (context.remote !== undefined || context.local === undefined)
    throw usageError(
      `the target ${name} is a context of another, and its own context ${path} is no directory`,
      'clone it, and name the directory',
    );
  if (run.request.cpus !== undefined)
    throw usageError(
      `the target ${name} is a context of another, and its steps cannot have a share of processors of their own`,
      'give resources.cpu-quota to the target that is built',
    );
  const named = await openNamedContexts(options.buildContexts, reading);
  // No name of an image has a plus sign.
  const sentAs = (each: string): string => `${name}+${each}`;
  const contexts: Record<string, LinkedContext> = buildsOf(links);
  const requests: Record<string, NamedContext> = { [sentAs('context')]: { type: 'local' } };
  for (const [each, request] of Object.entries(named.requests)) {
    if (request.type === 'local' || request.type === 'ociLayout') {
      requests[sentAs(each)] = request;
      contexts[each] = { ...request, from: sentAs(each) };
    } else contexts[each] = request;
  }
  const [platform, ...more] = platforms;
  const { network, addHosts, ulimits, shmSizeBytes, memoryBytes } = run.request;
  const build: LinkedInput = {
    ...{
      context: sentAs('context'),
      dockerfile: context.dockerfile,
      contexts,
      buildArgs,
      labels,
      noCache,
      addHosts,
      ulimits,
      network,
    },
    noCacheFilter: [...noCacheFilter],
    ...(context.dockerfileText === undefined ? {} : { dockerfileText: context.dockerfileText }),
    ...(target === undefined ? {} : { target }),
    ...(platform === undefined || more.length > 0 ? {} : { platform }),
    ...(shmSizeBytes === undefined ? {} : { shmSizeBytes }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
  const local = [
    { ...context.local, name: sentAs('context') },
    ...named.local.map((each) => ({ ...each, name: sentAs(each.name) })),
  ];
  return { requests, local, build, text: context.text };
}
