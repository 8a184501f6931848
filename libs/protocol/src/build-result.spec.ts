import { digestOf } from '#oci';
import { describe, expect, it } from 'vitest';
import { BuildResult } from './build-event.ts';

const digest = digestOf('x');
const known = {
  digest,
  configDigest: digest,
  names: ['docker.io/acme/app:1'],
  steps: { total: 1, hit: 1, run: 0, joined: 0 },
  bytes: { contextSent: 0, pulled: 0, pushed: 0 },
  durationMs: 1,
  savedMs: 1,
};

describe('a build’s result', () => {
  it('may be one that an older farm has stored', () => {
    const stored = { ...known, outputs: [{ type: 'oci', digest, sizeBytes: 7 }] };
    expect(BuildResult.parse(stored)).toEqual(stored);
  });

  it('tells what its digest stands for', () => {
    const descriptor = { mediaType: 'application/vnd.oci.image.index.v1+json', digest, size: 7 };
    const stored = { ...known, descriptor, outputs: [{ type: 'local', digest, sizeBytes: 7 }] };
    expect(BuildResult.parse(stored)).toEqual(stored);
  });
});
