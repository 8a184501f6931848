import { type Definition, DefinitionBuilder, type Edge, type ImageResolver, type Lowered } from '#graph';
import { formatPlatform, type Platform, type RunConfig } from '#oci';
import type { SbomAttestation, StoredRequest } from '#protocol';
import { KilnError } from '#std';
import { argumentsOf, environmentOf } from './container-op.ts';
import type { BuildJobInput } from './job.ts';

/** https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md */
const SOURCE = '/run/src/core/sbom';
const EXTRAS = '/run/src/extras';
export const DESTINATION = '/run/out';

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
