import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { silentLogger, systemClock } from '#std';
import { expect, it } from 'vitest';
import { ApiEnv } from '../config.ts';
import { RegistrySignIn } from './registry-sign-in.ts';

it('leaves room for other projects where one asks registries that do not answer', async () => {
  await using stack = new AsyncDisposableStack();
  const silent = createServer();
  stack.defer(() => void silent.close().closeAllConnections());
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const config = ApiEnv.parse({
    KILN_DATABASE_URL: 'postgres://127.0.0.1/kiln',
    KILN_REDIS_URL: 'redis://127.0.0.1',
    KILN_OBJECT_STORE: '/var/tmp',
    KILN_SECRET_KEY: '0'.repeat(64),
    KILN_EGRESS_ALLOW: '127.0.0.0/8',
  });
  const signIn = new RegistrySignIn(config, systemClock, silentLogger);
  const left = new AbortController();
  const ask = (projectId: string) =>
    signIn.check({ projectId, host, credentials: { username: 'ada', password: 'x' } }, left.signal);
  const waiting = [1, 2, 3, 4].map(() => ask('one'));
  await expect(ask('one')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  waiting.push(ask('other'));
  left.abort(new Error('gone'));
  for (const each of await Promise.allSettled(waiting))
    expect(each).toMatchObject({ status: 'rejected', reason: { message: 'gone' } });
  // Whoever is done makes room.
  await expect(ask('one')).rejects.toThrow('gone');
});
