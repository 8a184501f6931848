import { randomBytes } from 'node:crypto';
import { dockerCredentials, type FileAnswers, type KilnClient, MAIN_CONTEXT } from '#client';
import { type BuildRequestInput, type BuildView, DEFAULT_GENERATOR } from '#protocol';
import { isKilnError } from '#std';
import type { Config } from '../config.ts';
import { clientFor } from '../farm/connect.ts';
import { isOutdated, readFarmFile } from '../farm/farm-file.ts';
import type { Renderer } from '../progress/client-event.ts';
import type { AheadSends } from './ahead-sends.ts';
import type { BuildContext } from './build-context.ts';
import type { BuildOptions } from './build-flags.ts';
import { ContextProgress } from './context-progress.ts';
import { ContextTransfer } from './context-transfer.ts';
import type { OpenedCaches } from './local-cache.ts';
import type { NamedLocalContext } from './local-context.ts';
import type { NamedContexts } from './named-contexts.ts';
import type { OpenedLinks } from './linked-builds.ts';
import { onAbort } from './interrupt.ts';
import { registryHosts } from './registry-hosts.ts';

export interface Submission {
  readonly config: Config;
  readonly options: BuildOptions;
  readonly context: BuildContext;
  /** by id, in base64 */
  readonly secrets: Readonly<Record<string, string>>;
  /** ids of the agents that are forwarded */
  readonly agents: readonly string[];
  readonly named: NamedContexts;
  readonly linked: OpenedLinks;
  readonly ahead: AheadSends;
  readonly caches: OpenedCaches;
  readonly renderer: Renderer;
  readonly nowMs: () => number;
  readonly interrupted: AbortSignal;
  /** brings the embedded farm up */
  readonly startFarm: () => Promise<void>;
}

export interface Submitted {
  readonly client: KilnClient;
  readonly build: BuildView;
  /** sends what the build asks for; undefined where it will not ask */
  readonly files: FileAnswers | undefined;
  readonly progress: ContextProgress;
}

/** How long an interrupted submission that is with the farm already may take, so that its build can be cancelled. */
const GRACE_MS = 5_000;

/** Sends the build, to an embedded farm that is started if nobody answers. */
export async function submit(submission: Submission): Promise<Submitted> {
  const { config } = submission;
  const request = await requestOf(submission);
  const idempotencyKey = randomBytes(16).toString('hex');
  const send = async (client: KilnClient): Promise<Submitted> => {
    try {
      return { client, ...(await sendOnce(submission, { client, request, idempotencyKey })) };
    } catch (thrown) {
      await client.close();
      throw thrown;
    }
  };
  if (config.farm !== undefined) return send(clientFor(config, undefined));
  const known = await readFarmFile(config.dataDir);
  if (known !== undefined) {
    try {
      const submitted = await send(clientFor(config, known));
      if (await isOutdated(known)) {
        submission.renderer.note(
          'the farm runs an older build of Kiln; after kiln down, the next command starts this one',
        );
      }
      return submitted;
    } catch (thrown) {
      // Another farm may have taken the address of one that is gone; it does not know our token.
      if (!isKilnError(thrown, 'FARM_UNREACHABLE', 'UNAUTHENTICATED')) throw thrown;
    }
  }
  await submission.startFarm();
  return send(clientFor(config, await readFarmFile(config.dataDir)));
}

async function requestOf(submission: Submission): Promise<BuildRequestInput> {
  const { config, options, context, named, linked, caches, interrupted, secrets, agents } = submission;
  const { requests } = options.outputs;
  const replaced = Object.values(named.requests).flatMap((each) => (each.type === 'image' ? each.reference : []));
  const names = [...options.tags, ...requests.flatMap((output) => ('names' in output ? (output.names ?? []) : []))];
  const cached = [...caches.requests, ...options.cacheTo.requests].flatMap((cache) =>
    cache.type === 'registry' ? [cache.ref] : [],
  );
  const { sbom } = options.attestations;
  const generators = sbom === undefined ? [] : [sbom.generator ?? DEFAULT_GENERATOR];
  const all = [...names, ...replaced, ...cached, ...generators];
  const hosts = new Set(registryHosts(all, context.text, options.buildArgs));
  for (const { text, buildArgs } of linked.texts)
    for (const host of registryHosts([], text, buildArgs)) hosts.add(host);
  const credentials = await dockerCredentials(hosts, { configDir: config.dockerConfigDir, signal: interrupted });
  return {
    ...(options.call === undefined ? {} : { call: options.call.method }),
    dockerfile: context.dockerfile,
    ...(context.dockerfileText === undefined ? {} : { dockerfileText: context.dockerfileText }),
    ...(options.target === undefined ? {} : { target: options.target }),
    platforms: [...options.platforms],
    contexts: {
      ...named.requests,
      ...linked.requests,
      ...caches.contexts,
      ...(context.remote === undefined ? {} : { context: context.remote }),
    },
    builds: linked.builds,
    buildArgs: options.buildArgs,
    labels: options.labels,
    annotations: options.annotations,
    tags: [...options.tags],
    noCache: options.noCache,
    noCacheFilter: [...options.noCacheFilter],
    pull: options.pull,
    ...options.run.request,
    ...options.order,
    ssh: [...agents],
    secrets: { ...secrets },
    keyedSecrets: options.run.secrets.flatMap(({ id, keyed }) => (keyed === true ? [id] : [])),
    outputs: [...requests],
    attestations: options.attestations,
    cacheFrom: [...caches.requests],
    cacheTo: [...options.cacheTo.requests],
    credentials,
  };
}

interface Sending {
  readonly client: KilnClient;
  readonly request: BuildRequestInput;
  readonly idempotencyKey: string;
}

function localContexts({ context, named, linked, caches }: Submission): readonly NamedLocalContext[] {
  const main = context.local === undefined ? [] : [{ ...context.local, name: MAIN_CONTEXT }];
  return [...main, ...named.local, ...linked.local, ...caches.local];
}

async function sendOnce(
  submission: Submission,
  { client, request, idempotencyKey }: Sending,
): Promise<Omit<Submitted, 'client'>> {
  const { context, options, renderer, nowMs, interrupted } = submission;
  const contexts = localContexts(submission);
  const archives = contexts.filter((each) => each.kind === 'archive');
  const progress = new ContextProgress({ context: context.count, renderer, nowMs });
  const transfer = new ContextTransfer({ client, contexts, progress, ahead: submission.ahead, leaves: options.detach });
  // An archive that is with the farm in whole may be a build already, and so may what goes without one.
  let left = archives.length;
  let submitting = false;
  const counted = archives.map(({ name, open }, index) => ({
    name,
    open: async function* () {
      left = archives.length - index;
      yield* open();
      left--;
    },
  }));
  const sending = new AbortController();
  const { signal } = sending;
  let timer: NodeJS.Timeout | undefined;
  using _ = onAbort(interrupted, () => {
    // Then wait for its name, to cancel it.
    if (!submitting || left > 0) sending.abort(interrupted.reason);
    else timer = setTimeout(() => sending.abort(interrupted.reason), GRACE_MS);
  });
  try {
    const build = await progress.during(async () => {
      const references = await transfer.announce(signal);
      submitting = true;
      const onSent = (bytes: number): void => progress.archives(bytes);
      return await client.submitBuild(request, { references, archives: counted }, { idempotencyKey, signal, onSent });
    });
    return { build, files: transfer.answers, progress };
  } finally {
    clearTimeout(timer);
  }
}
