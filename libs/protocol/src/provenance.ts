import { KilnError } from '#std';
import { z } from 'zod';
import type { BuildView, StepView } from './build-view.ts';
import { BuildSource } from './build-source.ts';
import { instructionOf } from './miss-text.ts';

const Digests = z.object({ sha256: z.string() });

/** GET /v1/builds/:id/provenance: an in-toto statement with a predicate of SLSA, as the farm recorded it; nobody signed it. */
export const Provenance = z.object({
  /** which statement of in-toto */
  _type: z.string(),
  /** the image, under each of its names */
  subject: z.array(z.object({ name: z.string(), digest: Digests })),
  /** which predicate of SLSA */
  predicateType: z.string(),
  predicate: z.object({
    buildDefinition: z.object({
      buildType: z.literal('urn:kiln:build:v1'),
      /** what the client asked for and told of itself */
      externalParameters: z.object({
        source: BuildSource,
        dockerfile: z.string(),
        target: z.string().optional(),
        platforms: z.array(z.string()),
        /** names alone: values may be nobody's business */
        buildArgs: z.array(z.string()),
        secrets: z.array(z.string()),
        contexts: z.array(z.string()),
      }),
      internalParameters: z.object({
        project: z.string(),
        scope: z.string(),
        /** what was not run but taken from the cache: which build ran it, and in which scope */
        reused: z.array(z.object({ step: z.string(), build: z.string(), scope: z.string() })),
      }),
      /** the context, and images by their manifests */
      resolvedDependencies: z.array(z.object({ name: z.string(), uri: z.string().optional(), digest: Digests })),
    }),
    runDetails: z.object({
      builder: z.object({ id: z.string() }),
      metadata: z.object({
        invocationId: z.string(),
        startedOn: z.string().optional(),
        finishedOn: z.string().optional(),
      }),
    }),
  }),
});
export type Provenance = z.infer<typeof Provenance>;

const digestsOf = (digest: string): z.infer<typeof Digests> => ({ sha256: digest.replace(/^sha256:/, '') });

/**
 * What an image was made of, by whom, and at whose wish.
 * @throws KilnError NOT_FOUND for a build that made no image of a Dockerfile
 */
export function provenanceOf(build: BuildView, steps: readonly StepView[]): Provenance {
  const { id, url, project, scope, request, context, result, startedAt, finishedAt } = build;
  const image = result?.digest;
  if (request.call !== 'build' || image === undefined) {
    throw new KilnError('NOT_FOUND', `build ${id} made no image: there is no provenance`, {
      hint: 'a build has one once it has made an image: with a tag (-t), --push or an output of an image',
    });
  }
  const names = result?.names.length === 0 ? [image] : (result?.names ?? []);
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: names.map((name) => ({ name, digest: digestsOf(image) })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:kiln:build:v1',
        externalParameters: {
          source: request.source,
          dockerfile: request.dockerfile,
          ...(request.target === undefined ? {} : { target: request.target }),
          platforms: request.platforms,
          buildArgs: Object.keys(request.buildArgs),
          secrets: request.secretIds,
          contexts: Object.keys(request.contexts),
        },
        internalParameters: { project, scope, reused: reusedOf(steps) },
        resolvedDependencies: [{ name: 'context', digest: digestsOf(context.digest) }, ...imagesOf(steps)],
      },
      runDetails: {
        builder: { id: new URL(url).origin },
        metadata: {
          invocationId: url,
          ...(startedAt === null ? {} : { startedOn: startedAt }),
          ...(finishedAt === null ? {} : { finishedOn: finishedAt }),
        },
      },
    },
  };
}

type Material = Provenance['predicate']['buildDefinition']['resolvedDependencies'][number];

const reusedOf = (
  steps: readonly StepView[],
): Provenance['predicate']['buildDefinition']['internalParameters']['reused'] =>
  steps.flatMap(({ name, hit }) =>
    hit === null ? [] : [{ step: instructionOf(name), build: hit.buildId, scope: hit.scope }],
  );

/** Images that stages began with, or took files of, each once. */
function imagesOf(steps: readonly StepView[]): readonly Material[] {
  const found = new Map<string, Material>();
  for (const { name } of steps) {
    const [, image, digest] = /^FROM (\S+)@(sha256:[0-9a-f]{64})$/.exec(instructionOf(name)) ?? [];
    if (image === undefined || digest === undefined) continue;
    found.set(`${image}@${digest}`, { name: image, uri: `oci://${image}@${digest}`, digest: digestsOf(digest) });
  }
  return [...found.values()];
}
