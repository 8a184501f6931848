import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { systemRandom } from '#std';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureIdentity, readIdentity } from './identity.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kiln-identity-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('identity', () => {
  it('is drawn once and kept where only its owner reads it', async () => {
    expect(await readIdentity(dir)).toBeUndefined();
    const drawn = await ensureIdentity(dir, systemRandom);
    expect(await ensureIdentity(dir, systemRandom)).toEqual(drawn);
    expect(await readIdentity(dir)).toEqual(drawn);
    expect((await stat(join(dir, 'identity.json'))).mode & 0o777).toBe(0o600);
    const secrets = [drawn.postgresPassword, drawn.redisPassword, drawn.registrySecret, drawn.token, drawn.secretKey];
    expect(new Set(secrets).size).toBe(5);
    expect(new Set(Object.values(drawn.ports)).size).toBe(5);
    expect(drawn.secretKey).toMatch(/^[0-9a-f]{64}$/);
  });

  it('gives up a port that somebody else has, and nothing else', async () => {
    const drawn = await ensureIdentity(dir, systemRandom);
    const taken: Server = createServer().listen(drawn.ports.redis, '127.0.0.1');
    await once(taken, 'listening');
    try {
      const next = await ensureIdentity(dir, systemRandom);
      expect(next.ports.redis).not.toBe(drawn.ports.redis);
      expect({ ...next, ports: { ...next.ports, redis: drawn.ports.redis } }).toEqual(drawn);
    } finally {
      taken.close();
    }
  });

  it('is not replaced when it cannot be read', async () => {
    await writeFile(join(dir, 'identity.json'), '{"token":', { mode: 0o600 });
    await expect(ensureIdentity(dir, systemRandom)).rejects.toThrow();
    expect(await readFile(join(dir, 'identity.json'), 'utf8')).toBe('{"token":');
  });
});
