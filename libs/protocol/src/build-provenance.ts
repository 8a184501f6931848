import { imagePurl, parseReference } from '#oci';
import { KilnError } from '#std';
import type { BuildView, StepView } from './build-view.ts';
import { instructionOf } from './miss-text.ts';
import {
  hexDigests,
  type Material,
  type Provenance,
  PROVENANCE_TYPE,
  provenancePredicate,
  type ReusedStep,
  STATEMENT_TYPE,
} from './provenance.ts';

/**
 * What an image was made of, by whom, and at whose wish: GET /v1/builds/:id/provenance.
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
    _type: STATEMENT_TYPE,
    subject: names.map((name) => ({ name, digest: hexDigests(image) })),
    predicateType: PROVENANCE_TYPE,
    predicate: provenancePredicate({
      ...{ request, project, scope },
      builderId: new URL(url).origin,
      invocationId: url,
      startedOn: startedAt ?? undefined,
      finishedOn: finishedAt ?? undefined,
      materials: [{ name: 'context', digest: hexDigests(context.digest) }, ...imagesOf(steps)],
      reused: reusedOf(steps),
    }),
  };
}

const reusedOf = (steps: readonly StepView[]): readonly ReusedStep[] =>
  steps.flatMap(({ name, step, hit }) =>
    hit === null || !step ? [] : [{ step: instructionOf(name), build: hit.buildId, scope: hit.scope }],
  );

/** Images that stages began with, or took files of, each once. */
function imagesOf(steps: readonly StepView[]): readonly Material[] {
  const found = new Map<string, Material>();
  for (const { name } of steps) {
    const [, image, digest] = /^FROM (\S+)@(sha256:[0-9a-f]{64})$/.exec(instructionOf(name)) ?? [];
    if (image === undefined || digest === undefined) continue;
    const uri = imagePurl(parseReference(`${image}@${digest}`));
    found.set(`${image}@${digest}`, { name: image, uri, digest: hexDigests(digest) });
  }
  return [...found.values()];
}
