import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ciIdToken } from './ci-id-token.ts';

const audience = 'https://kiln.example.com';
const fails = (): never => {
  throw new Error('spawn buildkite-agent ENOENT');
};
let server: Server | undefined;
afterEach(() => {
  server?.close();
  server = undefined;
});

async function github(status: number, body: string) {
  const asked: string[] = [];
  server = createServer((request, response) => {
    asked.push(`${request.url ?? ''} ${request.headers.authorization ?? ''}`);
    response.writeHead(status).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const environment = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api=2`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'bearer',
  };
  return { asked, environment };
}

describe('the id token of a CI job', () => {
  it('is asked of GitHub for the farm', async () => {
    const { asked, environment } = await github(200, '{"value":"signed"}');
    expect(await ciIdToken({ environment, audience })).toBe('signed');
    expect(asked).toEqual(['/token?api=2&audience=https%3A%2F%2Fkiln.example.com Bearer bearer']);
  });

  it.each([
    [500, '', 'it answered 500'],
    [200, 'secret', 'its answer is malformed'],
    [200, '{"value":7,"secret":1}', 'its answer is malformed'],
  ])('that GitHub does not give is named, and no more: %j %j', async (status, body, why) => {
    const { environment } = await github(status, body);
    await expect(ciIdToken({ environment, audience })).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: `GitHub gave no id token: ${why}`,
    });
  });

  it('is asked of Buildkite’s agent', async () => {
    const environment = { BUILDKITE: 'true' };
    const run = (program: string, args: readonly string[]) => Promise.resolve(`${[program, ...args].join(' ')}\n`);
    expect(await ciIdToken({ environment, audience, run })).toBe(
      'buildkite-agent oidc request-token --audience https://kiln.example.com',
    );
    const refused = ciIdToken({ environment, audience, run: () => Promise.resolve().then(fails) });
    await expect(refused).rejects.toThrow('buildkite-agent gave no id token: spawn buildkite-agent ENOENT');
  });

  it('is in the environment elsewhere', async () => {
    expect(await ciIdToken({ environment: { KILN_ID_TOKEN: 'lab', BUILDKITE: 'true' }, audience })).toBe('lab');
    expect(await ciIdToken({ environment: { CIRCLE_OIDC_TOKEN_V2: 'circle' }, audience })).toBe('circle');
  });

  it.each([
    [{ GITHUB_ACTIONS: 'true' }, /id-token: write/],
    [{ GITLAB_CI: 'true' }, /id_tokens/],
    [{ CIRCLECI: 'true' }, /context/],
    [{}, /KILN_ID_TOKEN/],
  ])('that is nowhere is said to %j', async (environment, hint) => {
    await expect(ciIdToken({ environment, audience })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      hint: expect.stringMatching(hint) as string,
    });
  });
});
