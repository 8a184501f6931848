import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { FolderContentStore } from '#content';
import { single, systemRandom } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimed, type Farm, startFarm, submitted, succeeded } from './farm.ts';

let farm: Farm;
let build: string;
beforeAll(async () => {
  farm = await startFarm();
  const content = new FolderContentStore({ root: farm.contentDir, random: systemRandom });
  build = await submitted(farm);
  await succeeded(farm, await claimed(farm, build), [{ type: 'oci', ...(await content.put(single(systemRandom(9)))) }]);
});
afterAll(() => farm[Symbol.asyncDispose]());

describe('docs/api.md', () => {
  it('has requests that work', async () => {
    const text = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
    const blocks = [...text.matchAll(/```sh\n([^]*?)```/g)].map(([, block = '']) => block);
    const [setting = '', ...requests] = blocks.map((block) => block.replace(/^export .*$/m, ''));
    expect(requests.length).toBeGreaterThan(4);
    const env = { PATH: process.env['PATH'], KILN_URL: farm.url, KILN_TOKEN: farm.tokens.mine, BUILD: build };
    for (const block of requests) {
      const disowns = block.includes('/disown');
      const script = `set -eu -o pipefail; cd "$(mktemp -d)"; trap 'rm -r "$PWD"' EXIT; echo 'FROM scratch' > Dockerfile\n${setting}${block}`;
      const run = promisify(execFile)('bash', ['-c', script], { env });
      // Nothing was recorded that could be disowned.
      if (disowns) await expect(run).rejects.toMatchObject({ stdout: expect.stringContaining('NOT_FOUND') as unknown });
      else await run;
      if (block.includes('TAG=')) expect((await run).stdout).toBe('304\n');
    }
  });
});
