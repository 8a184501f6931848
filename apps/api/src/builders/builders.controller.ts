import { Controller, Get, Inject } from '@nestjs/common';
import { HEARTBEAT_TTL_MS } from '#dispatch';
import { BuilderList } from '#protocol';
import type { BuilderRegistry, Principal } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { BUILDERS } from '../tokens.ts';

/** Who builds. What they do for other projects is not told. */
@Controller('v1/builders')
export class BuildersController {
  readonly #builders: BuilderRegistry;

  constructor(@Inject(BUILDERS) builders: BuilderRegistry) {
    this.#builders = builders;
  }

  @Described({ summary: 'the farm’s builders, and what they do for the project', answer: BuilderList })
  @Get()
  async list(@Caller() { projectId }: Principal): Promise<BuilderList> {
    const found = await this.#builders.list(HEARTBEAT_TTL_MS, projectId);
    const builders = found.map(({ pid: _, heartbeatAt, platforms, emulated, ...each }) => ({
      ...each,
      platforms: [...platforms],
      emulated: [...emulated],
      heartbeatAt: heartbeatAt.toISOString(),
    }));
    return { builders };
  }
}
