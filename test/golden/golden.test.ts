import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CaseFarm, startCaseFarm } from '../conformance/case-farm.ts';
import { problemsOf } from './check-case.ts';
import { serveFiles } from './file-server.ts';
import { goldenCases } from './golden-case.ts';

let held: CaseFarm;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  held = stack.use(await startCaseFarm());
  stack.use(await serveFiles(held.files));
});
afterAll(() => stack.disposeAsync());

describe.concurrent('builds what the Dockerfile says', () => {
  it.each(goldenCases())('%s', async (name) => {
    expect((await problemsOf(name, held)).join('\n')).toBe('');
  });
});
