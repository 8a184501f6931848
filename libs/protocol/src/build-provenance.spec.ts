import { digestOf } from '#oci';
import { describe, expect, it } from 'vitest';
import { BuildRequest, StoredRequest } from './build-request.ts';
import { BuildView, StepView } from './build-view.ts';
import { provenanceOf } from './build-provenance.ts';
import { LinkedBuild } from './linked-build.ts';
import { Provenance } from './provenance.ts';

const image = digestOf('image');
const base = digestOf('base');
const hex = (digest: string): string => digest.slice('sha256:'.length);

const build = (more: object = {}, result: object | null = {}): BuildView =>
  BuildView.parse({
    id: 'b1',
    url: 'https://farm.example/b/b1',
    project: 'shop',
    scope: 'main',
    state: 'succeeded',
    attempt: 1,
    createdAt: '2026-01-01T00:00:00.000Z',
    startedAt: '2026-01-01T00:00:01.000Z',
    finishedAt: '2026-01-01T00:00:09.000Z',
    request: StoredRequest.parse({
      ...BuildRequest.omit({ credentials: true, secrets: true }).parse({ buildArgs: { TOKEN: 'hunter2' } }),
      secretIds: ['npm'],
      ...more,
    }),
    context: { digest: digestOf('context'), files: 3, sizeBytes: 9 },
    result: result && {
      digest: image,
      names: ['docker.io/acme/web:1', 'docker.io/acme/web:2'],
      steps: { total: 1, hit: 0, run: 1, joined: 0 },
      bytes: { contextSent: 0, pulled: 0, pushed: 0 },
      durationMs: 1,
      savedMs: 0,
      outputs: [],
      ...result,
    },
    failure: null,
  });
const step = (name: string): StepView =>
  StepView.parse({
    ...{ vertex: digestOf(name), name, stage: 's', line: 1, step: true, state: 'done', startedAt: null },
    ...{ durationMs: null, hit: null, miss: null, cause: null, compared: null, empty: false },
  });

describe('provenance', () => {
  it('names the image, what it was made of, the farm and the build', () => {
    const steps = [
      `[base 1/3] FROM docker.io/library/node:20@${base}`,
      `FROM docker.io/library/node:20@${base}`,
      `[linux/arm64 2/3] FROM registry.example:5000/a/b@${image}`,
      'FROM scratch',
      'RUN echo FROM x',
    ].map(step);
    const made = Provenance.parse(provenanceOf(build(), steps));
    expect(made).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://slsa.dev/provenance/v1',
    });
    expect(made.subject).toEqual(
      ['docker.io/acme/web:1', 'docker.io/acme/web:2'].map((name) => ({ name, digest: { sha256: hex(image) } })),
    );
    const { buildDefinition, runDetails } = made.predicate;
    expect(buildDefinition.resolvedDependencies.map(({ name, digest }) => [name, digest.sha256])).toEqual([
      ['context', hex(digestOf('context'))],
      ['docker.io/library/node:20', hex(base)],
      ['registry.example:5000/a/b', hex(image)],
    ]);
    expect(runDetails).toMatchObject({
      builder: { id: 'https://farm.example' },
      metadata: { invocationId: 'https://farm.example/b/b1', startedOn: '2026-01-01T00:00:01.000Z' },
    });
  });

  it('names the builds and scopes whose results were used again', () => {
    const from = { key: 'content', builderId: 'n', savedMs: 1, savedBytes: 1 };
    const hit = StepView.parse({
      ...step('[2/3] RUN make'),
      state: 'hit',
      hit: { ...from, buildId: 'b0', scope: 'main' },
    });
    const scan = { ...hit, name: '[linux/amd64] taking the SBOM', step: false };
    const steps = [hit, step('[3/3] RUN test'), scan];
    const { internalParameters } = provenanceOf(build(), steps).predicate.buildDefinition;
    expect(internalParameters.reused).toEqual([{ step: 'RUN make', build: 'b0', scope: 'main' }]);
  });

  it('has names of arguments and secrets, no values', () => {
    const made = provenanceOf(build(), []);
    expect(made.predicate.buildDefinition.externalParameters).toMatchObject({ buildArgs: ['TOKEN'], secrets: ['npm'] });
    expect(JSON.stringify(made)).not.toContain('hunter2');
  });

  it('tells of the builds that are its contexts', () => {
    const base = LinkedBuild.parse({ dockerfile: 'base/Dockerfile', target: 'all', buildArgs: { TOKEN: 'hunter2' } });
    const { externalParameters } = provenanceOf(build({ builds: { base } }), []).predicate.buildDefinition;
    expect(externalParameters.builds).toEqual({
      base: { dockerfile: 'base/Dockerfile', target: 'all', buildArgs: ['TOKEN'], contexts: [] },
    });
  });

  it('calls an image without a name by its digest', () => {
    expect(provenanceOf(build({}, { names: [] }), []).subject).toEqual([
      { name: image, digest: { sha256: hex(image) } },
    ]);
  });

  it.each([
    ['nothing yet', build({}, null)],
    ['files alone', build({}, { digest: undefined })],
    ['a push', build({ call: 'push' })],
  ])('is not there of a build that made %s', (_, of) => {
    expect(() => provenanceOf(of, [])).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });
});
