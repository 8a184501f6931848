import { open } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { type Definition, DefinitionBuilder, type Edge, type ImageResolver, type Lowered } from '#graph';
import { digestOf, formatPlatform, type Platform, type RunConfig } from '#oci';
import type { SbomAttestation, StoredRequest } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { argumentsOf, environmentOf } from './container-op.ts';
import type { BuildJobInput } from './job.ts';
import type { Materialiser } from './materialiser.ts';
import type { TreeRef } from './ref.ts';

/** https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md */
const SOURCE = '/run/src/core/sbom';
const EXTRAS = '/run/src/extras';
const DESTINATION = '/run/out';
export const SPDX_TYPE = 'https://spdx.dev/Document';
const SUFFIX = '.spdx.json';
const CORE = `sbom${SUFFIX}`;
/** As BuildKit has it. */
const MAX_FILE_BYTES = 40 * 1024 * 1024;
const MAX_FILES = 16;

export interface ScanOptions {
  readonly sbom: SbomAttestation;
  readonly request: StoredRequest;
  /** what the generator runs on */
  readonly platform: Platform;
  readonly resolver: ImageResolver;
  readonly signal: AbortSignal;
}

/**
 * The steps that scan a result: the generator's process on the result's files, and what it wrote on an empty tree. They are
 * steps as all others are, so that a result that anybody scanned is not scanned again.
 * @throws KilnError IMAGE_NOT_FOUND, REGISTRY_*, INVALID_ARGUMENT for a generator that has no command
 */
async function planScan(lowered: Lowered, options: ScanOptions): Promise<Definition> {
  const { definition, platform: scanned } = lowered;
  const { sbom, request, platform, resolver, signal } = options;
  const found = await resolver.resolve(sbom.generator, platform, signal);
  const builder = new DefinitionBuilder();
  const root = adopt(builder, definition);
  const extras = lowered.scanned.map((extra) => ({ name: extra.name, root: adopt(builder, extra.definition) }));
  const of = `[${formatPlatform(scanned)}] `;
  const label = { stage: '', line: 0, ignoreCache: request.noCache, aside: true } as const;
  const named = (name: string) => ({ ...label, name: of + name });
  const scanner = { kind: 'image', reference: found.reference, digest: found.digest } as const;
  const image = builder.add(scanner, platform, [], named(`the SBOM generator ${sbom.generator}`));
  const mkdir = { kind: 'mkdir', path: DESTINATION, mode: 0o755 } as const;
  const ready = builder.add(mkdir, platform, [image], named(`making room for the SBOM`));
  const ran = builder.add(
    {
      kind: 'exec',
      ...processOf(found.config.config ?? {}, sbom, extras.length > 0),
      network: request.network,
      mounts: [
        ...[SOURCE, ...extras.map(({ name }) => `${EXTRAS}/sbom-${name}`)].map(
          (target, at) => ({ type: 'bind', target, input: at + 1, source: '', readonly: true }) as const,
        ),
        { type: 'tmpfs', target: '/tmp' },
      ],
    },
    platform,
    [ready, root, ...extras.map((extra) => extra.root)],
    named(`generating SBOM using ${sbom.generator}`),
  );
  const empty = builder.add({ kind: 'scratch' }, platform, [], named('FROM scratch'));
  const taken = { kind: 'copy', from: [{ input: 1, patterns: [DESTINATION.slice(1)] }], dest: '/' } as const;
  return builder.finish(builder.add(taken, platform, [empty, ran], named('taking the SBOM')));
}

/** One for each platform, where an SBOM is asked for. */
export async function planScans(
  platforms: readonly Lowered[],
  { request, buildPlatform: platform, signal }: BuildJobInput,
  resolver: ImageResolver,
): Promise<readonly Definition[]> {
  const { sbom } = request.attestations;
  if (sbom === undefined) return [];
  const planned: Definition[] = [];
  for (const lowered of platforms) planned.push(await planScan(lowered, { sbom, request, platform, resolver, signal }));
  return planned;
}

function adopt(builder: DefinitionBuilder, definition: Definition): Edge {
  const [root] = definition.roots;
  if (root === undefined) throw new KilnError('INTERNAL', 'a definition without a root');
  builder.adopt(definition);
  return root;
}

function processOf(config: RunConfig, { parameters, generator }: SbomAttestation, hasExtras: boolean) {
  const given = Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [`BUILDKIT_SCAN_${name}`, value] as const),
  );
  const env = {
    ...given,
    BUILDKIT_SCAN_SOURCE: SOURCE,
    BUILDKIT_SCAN_DESTINATION: `${DESTINATION}/`,
    ...(hasExtras ? { BUILDKIT_SCAN_SOURCE_EXTRAS: `${EXTRAS}/` } : {}),
  };
  if ((config.Entrypoint ?? []).length + (config.Cmd ?? []).length === 0)
    throw new KilnError('INVALID_ARGUMENT', `the SBOM generator ${generator} has neither ENTRYPOINT nor CMD`, {
      field: 'attestations.sbom.generator',
      hint: 'name an image that speaks BuildKit’s SBOM generator protocol',
    });
  return {
    args: argumentsOf(config, { command: [], entrypoint: undefined }),
    env: environmentOf(config, { env }),
    cwd: config.WorkingDir || '/',
    user: '',
  };
}

const Scan = z.object({ predicateType: z.literal(SPDX_TYPE), predicate: z.looseObject({}) });

/** One scan: what was written under which name. */
export interface Sbom {
  readonly fileName: string;
  readonly predicate: unknown;
}

/**
 * What a generator wrote, that of the result itself first; one is in memory at a time.
 * @throws KilnError STEP_FAILED for what is no statement of an SPDX document, LIMIT_EXCEEDED for more than 40 MiB
 */
export async function* readScan(
  ref: TreeRef,
  generator: string,
  { workspace, snapshotter }: Materialiser,
): AsyncGenerator<Sbom> {
  const files = [...(await ref.tree()).values()].filter(({ path }) => path !== '');
  const names = files
    .map(({ path }) => path)
    .sort((a, b) => Number(b === CORE) - Number(a === CORE) || (a < b ? -1 : 1));
  const refuse = (why: string): KilnError =>
    new KilnError('STEP_FAILED', `the SBOM generator ${generator} ${why}`, {
      hint: `it is to write statements of in-toto with SPDX documents, ${DESTINATION}/${CORE} among them`,
    });
  if (names[0] !== CORE) throw refuse(`wrote no ${CORE}`);
  if (names.length > MAX_FILES) throw refuse(`wrote ${names.length} files, and ${MAX_FILES} are taken`);
  const tree = new Map(files.map((file) => [file.path, file]));
  await using mounted = await workspace.mount(await snapshotter.view(await ref.snapshot()));
  for (const fileName of names) {
    const { type, size = 0, digest } = tree.get(fileName) ?? {};
    if (type !== 'file') throw refuse(`wrote ${fileName}, which is no file`);
    if (size > MAX_FILE_BYTES)
      throw new KilnError('LIMIT_EXCEEDED', `${fileName} has ${size} bytes: an SBOM may have ${MAX_FILE_BYTES}`);
    await using file = await open(join(mounted.path, fileName), constants.O_RDONLY | constants.O_NOFOLLOW);
    const bytes = await file.readFile();
    if (digestOf(bytes) !== digest) throw new KilnError('INTERNAL', `${fileName} is not what was recorded`);
    const read = Scan.safeParse(parsed(bytes));
    if (!read.success) throw refuse(`wrote ${fileName}, which is no statement of an SPDX document`);
    yield { fileName, predicate: read.data.predicate };
  }
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
