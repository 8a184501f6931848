import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { FolderContentStore } from '#content';
import { digestOf } from '#oci';
import { single, systemRandom } from '#std';
import { BuildImages, type Claim } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimed, type Farm, startFarm, submitted, succeeded } from './farm.ts';

let farm: Farm;
let build: string;
beforeAll(async () => {
  farm = await startFarm();
  const content = new FolderContentStore({ root: farm.contentDir, random: systemRandom });
  build = await submitted(farm);
  const claim = await claimed(farm, build);
  for (const tag of ['1', '2', 'old']) await keptImage(claim, tag);
  await succeeded(farm, claim, [{ type: 'oci', ...(await content.put(single(systemRandom(9)))) }]);
});
afterAll(() => farm[Symbol.asyncDispose]());

/** An image of nothing but its config. */
async function keptImage(claim: Claim, tag: string): Promise<void> {
  const digest = digestOf(`image ${tag}`);
  const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 };
  const platform = { os: 'linux', architecture: 'amd64' };
  const variant = { platform, digest, id: digestOf(`config ${tag}`), sizeBytes: 1, history: [{ createdBy: 'CMD x' }] };
  await new BuildImages(farm.db, claim).keep({
    image: { descriptor, variants: [variant], createdAt: '2026-01-01T00:00:00.000Z' },
    ...{ names: [`docker.io/acme/app:${tag}`], kept: false, documents: [], layers: [], deltas: [] },
  });
}

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
