import { Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { HEARTBEAT_TTL_MS } from '#dispatch';
import { BuilderList, BuilderView } from '#protocol';
import type { Logger } from '#std';
import { type BuilderInfo, type BuilderRegistry, type Principal, type RedisLink, Wakeups } from '#storage';
import { ByOperator, Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { BUILDERS, LOGGER, REDIS } from '../tokens.ts';

/** Who builds. What they do for other projects is not told, but that one that is drained still does something. */
@Controller('v1/builders')
export class BuildersController {
  readonly #builders: BuilderRegistry;
  readonly #wakeups: Wakeups;
  readonly #logger: Logger;

  constructor(
    @Inject(BUILDERS) builders: BuilderRegistry,
    @Inject(REDIS) redis: RedisLink,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.#builders = builders;
    this.#wakeups = new Wakeups(redis, logger);
    this.#logger = logger;
  }

  @Described({ summary: 'the farm’s builders, and what they do for the project', answer: BuilderList })
  @Get()
  async list(@Caller() { projectId }: Principal): Promise<BuilderList> {
    const found = await this.#builders.list(HEARTBEAT_TTL_MS, projectId);
    return { builders: found.map(viewOf) };
  }

  @Described({
    summary: 'let a builder take no more builds',
    detail:
      'What it has goes on: it is draining, then drained. It stays so, whatever is started anew, until it is undrained. Here `running` counts builds of all projects.',
    answer: BuilderView,
    errors: ['NOT_FOUND'],
  })
  @ByOperator()
  @Post(':id/drain')
  @HttpCode(200)
  async drain(@Param('id') id: string): Promise<BuilderView> {
    return await this.#drain(id, true);
  }

  @Described({ summary: 'let a builder take builds again', answer: BuilderView, errors: ['NOT_FOUND'] })
  @ByOperator()
  @Delete(':id/drain')
  async undrain(@Param('id') id: string): Promise<BuilderView> {
    return await this.#drain(id, false);
  }

  async #drain(id: string, drained: boolean): Promise<BuilderView> {
    const builder = await this.#builders.drain(id, drained);
    this.#logger.info(drained ? 'a builder is drained' : 'a builder is undrained', { builder: id });
    // It takes nothing from now on; told, it leaves jobs to the others at once.
    await this.#wakeups.sendBuilder(id);
    return viewOf(builder);
  }
}

const viewOf = ({ pid: _, heartbeatAt, platforms, emulated, ...each }: BuilderInfo): BuilderView => ({
  ...each,
  platforms: [...platforms],
  emulated: [...emulated],
  heartbeatAt: heartbeatAt.toISOString(),
});
