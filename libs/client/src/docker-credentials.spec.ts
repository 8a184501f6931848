import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dockerCredentials } from './docker-credentials.ts';

let configDir = '';
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), 'kiln-docker-'));
  vi.stubEnv('PATH', `${configDir}:${process.env['PATH'] ?? ''}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(configDir, { recursive: true });
});

const write = (config: unknown): Promise<void> =>
  writeFile(join(configDir, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
/** A credential helper that runs `script` with what it was asked in $server. */
const helper = (name: string, script: string): Promise<void> =>
  writeFile(join(configDir, `docker-credential-${name}`), `#!/bin/sh\nserver=$(cat)\n${script}\n`, { mode: 0o755 });
const look = (...hosts: string[]): ReturnType<typeof dockerCredentials> => dockerCredentials(hosts, { configDir });
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('dockerCredentials', () => {
  it('knows nothing where docker was never configured, or knows of other hosts alone', async () => {
    expect(await look('ghcr.io')).toEqual({});
    await write({ auths: { 'quay.io': { auth: base64('a:b') } } });
    expect(await look('ghcr.io')).toEqual({});
  });

  it('reads names and passwords, colons in passwords included, and identity tokens', async () => {
    await write({
      auths: {
        'ghcr.io': { auth: base64('ann:s3:cret') },
        'https://reg.example.com/v2/': { username: 'bob', password: 'pw' },
        'azure.example.com': { auth: base64('00000000-0000-0000-0000-000000000000:'), identitytoken: 'tok' },
        'empty.example.com': {},
      },
    });
    expect(await look('ghcr.io', 'reg.example.com', 'azure.example.com', 'empty.example.com')).toEqual({
      'ghcr.io': { username: 'ann', password: 's3:cret' },
      'reg.example.com': { username: 'bob', password: 'pw' },
      'azure.example.com': { identityToken: 'tok' },
    });
  });

  it('finds docker.io under the name that docker gives it', async () => {
    await write({ auths: { 'https://index.docker.io/v1/': { auth: base64('ann:pw') } } });
    expect(await look('docker.io')).toEqual({ 'docker.io': { username: 'ann', password: 'pw' } });
  });

  it('asks the helper of a host, else the store, else the file', async () => {
    await helper('own', 'echo "{\\"Username\\":\\"own\\",\\"Secret\\":\\"$server\\"}"');
    await helper(
      'store',
      'case $server in *index.docker.io/v1/) echo \'{"Username":"<token>","Secret":"t"}\';; *) echo credentials not found in native keychain; exit 1;; esac',
    );
    await write({
      credHelpers: { 'gcr.io': 'own' },
      credsStore: 'store',
      auths: { 'gcr.io': { auth: base64('file:file') }, 'quay.io': { auth: base64('file:pw') } },
    });
    expect(await look('gcr.io', 'docker.io', 'quay.io', 'nobody.example.com')).toEqual({
      'gcr.io': { username: 'own', password: 'gcr.io' },
      'docker.io': { identityToken: 't' },
      'quay.io': { username: 'file', password: 'pw' },
    });
  });

  it('names the file that is malformed', async () => {
    const file = join(configDir, 'config.json');
    const wrong = [
      '{',
      '[]',
      { auths: { 'ghcr.io': { auth: 7 } } },
      { auths: { 'ghcr.io': { auth: base64('nocolon') } } },
    ];
    for (const config of wrong) {
      await write(config);
      await expect(look('ghcr.io')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(look('ghcr.io')).rejects.toThrow(`${file} is malformed`);
    }
  });

  it('names the helper that is missing, fails, or answers nonsense, and keeps its secret', async () => {
    await helper('broken', 'echo the keychain is locked; exit 1');
    await helper('odd', 'echo "{\\"Secret\\":\\"hunter2\\"}"');
    await write({ credHelpers: { 'a.io': 'missing', 'b.io': 'broken', 'c.io': 'odd', 'd.io': '../evil' } });
    await expect(look('a.io')).rejects.toThrow(
      'docker-credential-missing gave no credentials for a.io: it is not installed',
    );
    await expect(look('b.io')).rejects.toThrow('the keychain is locked');
    const odd = await look('c.io').catch((thrown: unknown) => thrown);
    expect(odd).toMatchObject({ message: expect.stringContaining('malformed') as string });
    expect(JSON.stringify(odd)).not.toContain('hunter2');
    await expect(look('d.io')).rejects.toThrow('no name of a helper');
  });
});
