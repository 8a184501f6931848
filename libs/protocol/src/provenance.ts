import { z } from 'zod';
import type { StoredRequest } from './build-request.ts';
import { BuildSource } from './build-source.ts';

/** In hexadecimal; that of a git commit is mostly a SHA-1. */
const Digests = z.object({ sha256: z.string().optional(), sha1: z.string().optional() });

const Material = z.object({
  name: z.string(),
  uri: z.string().optional(),
  digest: Digests,
  /** in base64: the Dockerfile's, with the mode `max` */
  content: z.string().optional(),
});
/** What a build was made of, by its digest. */
export type Material = z.infer<typeof Material>;

const Linked = z.object({
  dockerfile: z.string(),
  target: z.string().optional(),
  buildArgs: z.array(z.string()),
  contexts: z.array(z.string()),
  args: z.record(z.string(), z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
});

const Reused = z.object({ step: z.string(), build: z.string(), scope: z.string() });
/** What was not run but taken from the cache: which build ran it, and in which scope. */
export type ReusedStep = z.infer<typeof Reused>;

const Step = z.object({
  name: z.string(),
  stage: z.string(),
  line: z.int(),
  platform: z.string(),
  id: z.string(),
  /** ids of steps */
  inputs: z.array(z.string()),
});
/** One vertex of the graph that was built. */
export type ProvenanceStep = z.infer<typeof Step>;

/** An in-toto statement with a predicate of SLSA, as the farm recorded it; nobody signed it. */
export const Provenance = z.object({
  /** which statement of in-toto */
  _type: z.string(),
  /** the image, under each of its names; or files */
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
        /** builds whose results are contexts of this one: targets of a bake file */
        builds: z.record(z.string(), Linked).optional(),
        /** with their values, with the mode `max` alone */
        args: z.record(z.string(), z.string()).optional(),
        labels: z.record(z.string(), z.string()).optional(),
        ssh: z.array(z.string()).optional(),
      }),
      internalParameters: z.object({
        project: z.string(),
        scope: z.string(),
        builderPlatform: z.string().optional(),
        reused: z.array(Reused),
        /** with the mode `max` alone */
        steps: z.array(Step).optional(),
      }),
      /** contexts, and images by their manifests; repositories by their commits, files of the web */
      resolvedDependencies: z.array(Material),
    }),
    runDetails: z.object({
      builder: z.object({ id: z.string() }),
      metadata: z.object({
        invocationId: z.string(),
        startedOn: z.string().optional(),
        finishedOn: z.string().optional(),
        /** the client's word */
        kiln_reproducible: z.boolean().optional(),
        /** no step had a network: nothing came in but the dependencies */
        kiln_hermetic: z.boolean().optional(),
      }),
    }),
  }),
});
export type Provenance = z.infer<typeof Provenance>;
export type Subject = Provenance['subject'][number];

/** A build, as whoever tells of it knows it. */
export interface Made {
  readonly request: StoredRequest;
  readonly project: string;
  readonly scope: string;
  /** who says so */
  readonly builderId: string;
  /** the build's page, or its id */
  readonly invocationId: string;
  readonly startedOn?: string | undefined;
  readonly finishedOn?: string | undefined;
  readonly builderPlatform?: string | undefined;
  readonly hermetic?: boolean | undefined;
  readonly materials: readonly Material[];
  readonly reused: readonly ReusedStep[];
  /** what may be nobody's business: values of arguments, and the steps */
  readonly whole?: { readonly steps: readonly ProvenanceStep[] } | undefined;
}

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PROVENANCE_TYPE = 'https://slsa.dev/provenance/v1';
const PROVENANCE_V02_TYPE = 'https://slsa.dev/provenance/v0.2';

export const hexDigests = (digest: string): Material['digest'] => ({ sha256: digest.replace(/^sha256:/, '') });

/** https://slsa.dev/spec/v1.1/provenance */
export function provenancePredicate(made: Made): Provenance['predicate'] {
  const { request, project, scope, builderPlatform, hermetic, startedOn, finishedOn, reused, whole } = made;
  const { attestations, ssh, labels, buildArgs } = request;
  const reproducible = attestations.provenance?.reproducible;
  return {
    buildDefinition: {
      buildType: 'urn:kiln:build:v1',
      externalParameters: {
        source: request.source,
        dockerfile: request.dockerfile,
        ...(request.target === undefined ? {} : { target: request.target }),
        platforms: request.platforms,
        buildArgs: Object.keys(buildArgs),
        secrets: request.secretIds,
        contexts: Object.keys(request.contexts),
        ...linkedOf(request, whole !== undefined),
        ...(whole === undefined ? {} : { args: buildArgs, labels, ssh }),
      },
      internalParameters: {
        ...{ project, scope, reused: [...reused] },
        ...(builderPlatform === undefined ? {} : { builderPlatform }),
        ...(whole === undefined ? {} : { steps: [...whole.steps] }),
      },
      resolvedDependencies: [...made.materials],
    },
    runDetails: {
      builder: { id: made.builderId },
      metadata: {
        invocationId: made.invocationId,
        ...(startedOn === undefined ? {} : { startedOn }),
        ...(finishedOn === undefined ? {} : { finishedOn }),
        ...(reproducible === undefined ? {} : { kiln_reproducible: reproducible }),
        ...(hermetic === undefined ? {} : { kiln_hermetic: hermetic }),
      },
    },
  };
}

function linkedOf({ builds }: StoredRequest, whole: boolean): { builds?: Record<string, z.infer<typeof Linked>> } {
  const told: Record<string, z.infer<typeof Linked>> = {};
  for (const [name, { dockerfile, target, buildArgs, contexts, labels }] of Object.entries(builds))
    told[name] = {
      ...{ dockerfile, buildArgs: Object.keys(buildArgs), contexts: Object.keys(contexts) },
      ...(target === undefined ? {} : { target }),
      ...(whole ? { args: buildArgs, labels } : {}),
    };
  return Object.keys(told).length === 0 ? {} : { builds: told };
}

/** The same in the words of https://slsa.dev/spec/v0.2/provenance, for readers that know no other. */
export function provenanceV02({ buildDefinition, runDetails }: Provenance['predicate']): {
  readonly predicateType: string;
  readonly predicate: unknown;
} {
  const { buildType, externalParameters, internalParameters, resolvedDependencies } = buildDefinition;
  const { invocationId, startedOn, finishedOn, kiln_reproducible: reproducible, ...more } = runDetails.metadata;
  const { builderPlatform: platform, ...environment } = internalParameters;
  return {
    predicateType: PROVENANCE_V02_TYPE,
    predicate: {
      builder: runDetails.builder,
      buildType,
      invocation: {
        configSource: { uri: externalParameters.source.repository, entryPoint: externalParameters.dockerfile },
        parameters: externalParameters,
        environment: { ...(platform === undefined ? {} : { platform }), ...environment },
      },
      materials: resolvedDependencies.map(({ name, uri = name, digest }) => ({ uri, digest })),
      metadata: {
        buildInvocationID: invocationId,
        ...(startedOn === undefined ? {} : { buildStartedOn: startedOn }),
        ...(finishedOn === undefined ? {} : { buildFinishedOn: finishedOn }),
        completeness: { parameters: externalParameters.args !== undefined, environment: true, materials: true },
        reproducible: reproducible === true,
        ...more,
      },
    },
  };
}
