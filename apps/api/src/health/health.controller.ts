import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { ContentStore } from '#content';
import { messageOf, single } from '#std';
import { checkSchema, type Database, type RedisLink } from '#storage';
import { Public } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { CONTENT, DATABASE, REDIS } from '../tokens.ts';

const Liveness = z.object({ status: z.literal('ok') });
const Readiness = z.object({ status: z.enum(['ok', 'unavailable']), checks: z.record(z.string(), z.string()) });
type Readiness = z.infer<typeof Readiness>;
const TIMEOUT_MS = 3_000;

@Controller()
@Public()
export class HealthController {
  readonly #db: Database;
  readonly #redis: RedisLink;
  readonly #content: ContentStore;

  constructor(@Inject(DATABASE) db: Database, @Inject(REDIS) redis: RedisLink, @Inject(CONTENT) content: ContentStore) {
    this.#db = db;
    this.#redis = redis;
    this.#content = content;
  }

  @Described({ summary: 'the process lives', answer: Liveness })
  @Get('healthz')
  alive(): z.infer<typeof Liveness> {
    return { status: 'ok' };
  }

  /** What a build needs is there; 503 says what is not. */
  @Described({ summary: 'what a build needs is there', answer: Readiness, answers: { 503: Readiness } })
  @Get('readyz')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<Readiness> {
    const checks = await Promise.all([
      check('postgres', () => checkSchema(this.#db)),
      check('redis', () => this.#redis.ping()),
      check('content', () => this.#content.put(single('kiln is ready\n'))),
    ]);
    const ready = checks.every(([, state]) => state === 'ok');
    if (!ready) void reply.status(503);
    return { status: ready ? 'ok' : 'unavailable', checks: Object.fromEntries(checks) };
  }
}

async function check(name: string, probe: () => Promise<unknown>): Promise<readonly [string, string]> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  try {
    await Promise.race([probe(), timeout.promise]);
    return [name, 'ok'];
  } catch (thrown) {
    return [name, messageOf(thrown)];
  } finally {
    clearTimeout(timer);
  }
}
