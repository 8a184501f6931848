import { digestOf } from '#oci';
import { collect } from '#std';
import { describe, expect, it } from 'vitest';
import { viewJson } from './long-answer.ts';

describe('the JSON of a context’s view', () => {
  it.each([0, 1, 2_000, 2_001, 5_000])('is that of the whole object with %i missing', async (count) => {
    const missing = Array.from({ length: count }, (_, at) => digestOf(String(at)));
    const view = { digest: digestOf('m'), files: 7, sizeBytes: 9, missing };
    expect((await collect(viewJson(view), 1 << 24)).toString()).toBe(JSON.stringify(view));
  });
});
