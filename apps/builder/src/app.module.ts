import { BullModule, OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { type DynamicModule, Inject, Module, type OnApplicationBootstrap, type Provider } from '@nestjs/common';
import { BUILD_QUEUE, partQueueName, postpone, putBack, type HeldJob, workerName, workerOptions } from '#dispatch';
import { BuildJob } from '#protocol';
import { kilnVersion, type Logger, systemClock } from '#std';
import { BuildRunner } from './build-runner.ts';

export const LOGGER = Symbol('Logger');

export interface BuilderModuleOptions {
  readonly builderId: string;
  readonly redisUrl: string;
  /** builds at a time */
  readonly concurrency: number;
  readonly runner: BuildRunner;
  readonly logger: Logger;
}

/** The end of the queue. */
@Module({})
export class BuilderModule {
  static for({ builderId, redisUrl, concurrency, runner, logger }: BuilderModuleOptions): DynamicModule {
    const { connection, ...worker } = workerOptions(redisUrl, concurrency, workerName(builderId, kilnVersion()));
    const values: readonly Provider[] = [
      { provide: BuildRunner, useValue: runner },
      { provide: LOGGER, useValue: logger },
    ];
    return {
      module: BuilderModule,
      // Nest starts the workers of processors only beside a registered queue.
      imports: [
        BullModule.forRoot({ connection }),
        BullModule.registerQueue({ name: BUILD_QUEUE }, { name: partQueueName(builderId) }),
      ],
      providers: [...values, buildProcessor(worker), partProcessor(partQueueName(builderId), worker)],
    };
  }
}

type NestWorkerOptions = Omit<ReturnType<typeof workerOptions>, 'connection'>;

/** What every worker does besides its work. */
abstract class JobProcessor extends WorkerHost implements OnApplicationBootstrap {
  readonly runner: BuildRunner;
  readonly #logger: Logger;
  #told = '';

  constructor(@Inject(BuildRunner) runner: BuildRunner, @Inject(LOGGER) logger: Logger) {
    super();
    this.runner = runner;
    this.#logger = logger;
  }

  onApplicationBootstrap(): void {
    this.runner.intake.add(this.worker);
  }

  /** Unheard, the event would end the process. Reconnecting says the same again and again. */
  @OnWorkerEvent('error')
  onError({ message }: Error): void {
    if (message !== this.#told) this.#logger.warn('the queue complains', { error: message });
    this.#told = message;
  }

  @OnWorkerEvent('failed')
  onFailed(_job: unknown, error: Error): void {
    this.#logger.error('a job failed; its build is found again', { error });
  }
}

/** A processor with these options: Nest reads them from the class, and they come from the environment. */
function buildProcessor(options: NestWorkerOptions): Provider {
  @Processor(BUILD_QUEUE, options)
  class BuildProcessor extends JobProcessor {
    override async process(job: HeldJob, token?: string): Promise<void> {
      await this.runner.run(BuildJob.parse(job.data), {
        giveWay: () => postpone(job, token, systemClock),
        leave: () => putBack(job, token, systemClock),
      });
    }
  }
  return BuildProcessor;
}

/** The same for parts of builds that only this builder is fit for. */
function partProcessor(queue: string, options: NestWorkerOptions): Provider {
  @Processor(queue, options)
  class PartProcessor extends JobProcessor {
    override async process(job: HeldJob): Promise<void> {
      await this.runner.runPart(BuildJob.parse(job.data));
    }
  }
  return PartProcessor;
}
