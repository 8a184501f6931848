import { encodeManifest, makeManifest } from '#context';
import type { Tree } from '#content';
import { type Lowered, parseGitUrl, type Vertex, withoutCredentials } from '#graph';
import { digestOf, formatPlatform, imagePurl, parseReference } from '#oci';
import { hexDigests, instructionOf, type Made, type Material, type ProvenanceStep, type ReusedStep } from '#protocol';
import type { DockerfileSource } from './dockerfile-source.ts';
import type { BuildJobInput } from './job.ts';
import { OF_NO_REGISTRY } from './layout-image.ts';
import type { LocalRef } from './ref.ts';
import type { SecretMask } from './secret-mask.ts';
import type { Sources } from './sources.ts';
import type { StepResults } from './step-results.ts';
import { toldText } from './told.ts';

/** What is known of a build when it tells how it went. */
export interface Making {
  readonly job: BuildJobInput;
  readonly sources: Pick<Sources, 'repository'>;
  readonly dockerfile: DockerfileSource;
  /** by the names that operations know them by */
  readonly locals: ReadonlyMap<string, LocalRef>;
  readonly steps: StepResults;
  readonly mask: SecretMask;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

/**
 * How one platform's result was made; but for names of arguments and the Dockerfile not fit to be told yet. Values of arguments,
 * the Dockerfile and its steps are told where the request says so.
 */
export async function madeOf(lowered: Lowered, making: Making): Promise<Made> {
  const { job, steps, mask, startedAtMs, finishedAtMs } = making;
  const { request, producer, project } = job;
  const { buildId, scope } = producer;
  const { mode, builderId, farm } = request.attestations.provenance ?? {};
  const vertices = [...lowered.definition.vertices.values()];
  const named = (given: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(given).map(([name, value]) => [mask.text(name), value]));
  return {
    request: { ...request, buildArgs: named(request.buildArgs), labels: named(request.labels) },
    ...{ project, scope },
    builderId: builderId ?? farm ?? 'urn:kiln:farm',
    invocationId: farm === undefined ? buildId : `${farm}/b/${buildId}`,
    startedOn: new Date(startedAtMs).toISOString(),
    finishedOn: new Date(finishedAtMs).toISOString(),
    builderPlatform: formatPlatform(job.buildPlatform),
    hermetic: vertices.every(({ op }) => op.kind !== 'exec' || op.network === 'none'),
    materials: await materialsOf(vertices, making, mode === 'max'),
    reused: reusedOf(vertices, steps, buildId),
    ...(mode === 'max' ? { whole: { steps: vertices.map(stepOf) } } : {}),
  };
}

const stepOf = ({ digest, platform, inputs, label }: Vertex): ProvenanceStep => ({
  ...{ id: digest, name: label.name, stage: label.stage, line: label.line },
  platform: formatPlatform(platform),
  inputs: inputs.map(({ vertex }) => vertex),
});

/** Of other builds, what ran there, or was running there. */
function reusedOf(vertices: readonly Vertex[], steps: StepResults, own: string): readonly ReusedStep[] {
  return vertices.flatMap(({ digest, label }) => {
    const producer = steps.producerOf(digest);
    if (producer === undefined || producer.buildId === own) return [];
    return [{ step: instructionOf(label.name), build: producer.buildId, scope: producer.scope }];
  });
}

/** The Dockerfile, the main context, and whatever else the graph begins with: each once. */
async function materialsOf(vertices: readonly Vertex[], making: Making, whole: boolean): Promise<readonly Material[]> {
  const { dockerfile, locals, mask } = making;
  const text = Buffer.from(dockerfile.text);
  // Before it is in base64, where nobody would find all that is not to be told.
  const content = whole ? { content: Buffer.from(toldText(dockerfile.text, mask)).toString('base64') } : {};
  const found = new Map<string, Material>();
  for (const { op, platform } of vertices) {
    const material = materialOf(op, platform, locals);
    if (material !== undefined) found.set(JSON.stringify([material.name, material.digest]), material);
  }
  return [
    { name: dockerfile.name, digest: hexDigests(digestOf(text)), ...content },
    ...(await remoteContext(making)),
    ...found.values(),
  ];
}

function materialOf(
  op: Vertex['op'],
  platform: Vertex['platform'],
  locals: ReadonlyMap<string, LocalRef>,
): Material | undefined {
  switch (op.kind) {
    case 'image':
      return {
        name: op.reference,
        ...(op.reference.startsWith(OF_NO_REGISTRY)
          ? {}
          : { uri: imagePurl(parseReference(`${op.reference}@${op.digest}`), platform) }),
        digest: hexDigests(op.digest),
      };
    case 'git':
      return { name: op.remote, uri: gitUri(op.remote, op.ref), digest: commitDigest(op.commit) };
    case 'http':
      return { name: op.url, uri: op.url, digest: hexDigests(op.digest) };
    case 'local': {
      const local = locals.get(op.name);
      return local === undefined ? undefined : { name: op.name, digest: filesDigest(local.unfiltered) };
    }
    case 'scratch':
    case 'exec':
    case 'copy':
    case 'mkdir':
    case 'merge':
      return undefined;
  }
}

/** Where the main context is from, where no client sent it. */
async function remoteContext({ job, sources }: Making): Promise<readonly Material[]> {
  const main = job.request.contexts['context'];
  if (main?.type !== 'git') return [];
  const source = parseGitUrl(main.url);
  if (source === undefined) return [];
  const { commit, ref } = await sources.repository(source, job.signal);
  const name = withoutCredentials(source.remote);
  return [{ name, uri: gitUri(name, ref), digest: commitDigest(commit) }];
}

const gitUri = (remote: string, ref: string): string => `${remote}#${ref}`;
const commitDigest = (commit: string): Material['digest'] =>
  commit.length === 64 ? { sha256: commit } : { sha1: commit };

/** As the farm knows contexts by: that of the list of their files. */
const filesDigest = (tree: Tree): Material['digest'] =>
  hexDigests(digestOf(encodeManifest(makeManifest(tree.values()))));
