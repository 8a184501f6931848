import { Queue } from 'bullmq';
import { type BuildJob, type QueuedBuild } from '#protocol';
import { KilnError } from '#std';
import { BUILD_QUEUE, jobId } from './build-queue.ts';
import { producerOptions } from './connection.ts';
import { partQueueName } from './part-queues.ts';
import { parseWorkerName } from './worker-name.ts';

export interface QueueViewOptions {
  readonly redisUrl: string;
  /** those whose queues of parts are looked at, too */
  readonly builderIds: readonly string[];
}

const PAGE = 1_000;
/** Of jobs that wait; what is more is not looked at. */
const MAX_JOBS = 50_000;
const WIDTH = 50;
const ID = /^(.+)\.(\d+)$/;

/** The queue as an operator sees it: nothing is changed. */
export class QueueView implements AsyncDisposable {
  readonly #builds: Queue;
  readonly #parts: readonly Queue[];

  constructor({ redisUrl, builderIds }: QueueViewOptions) {
    const open = (name: string): Queue => {
      const queue = new Queue(name, producerOptions(redisUrl));
      // Whoever asks hears of it; unheard, the event would end the process.
      queue.on('error', () => undefined);
      return queue;
    };
    this.#builds = open(BUILD_QUEUE);
    this.#parts = builderIds.map((id) => open(partQueueName(id)));
  }

  /** Which of these have no job, neither waiting nor in a builder's hands. @throws KilnError UNAVAILABLE */
  async withoutJob(builds: readonly QueuedBuild[]): Promise<readonly QueuedBuild[]> {
    const lost: QueuedBuild[] = [];
    for (let at = 0; at < builds.length; at += WIDTH) {
      const page = builds.slice(at, at + WIDTH);
      const found = await asked(Promise.all(page.map((build) => this.#hasJob(build))));
      lost.push(...page.filter((_, index) => found[index] === false));
    }
    return lost;
  }

  /** Jobs that wait for a builder, page by page. @throws KilnError UNAVAILABLE */
  async *waiting(): AsyncIterable<readonly BuildJob[]> {
    for (const queue of [this.#builds, ...this.#parts]) {
      for (let at = 0; at < MAX_JOBS; at += PAGE) {
        const jobs = await asked(queue.getRanges(['prioritized', 'waiting', 'delayed'], at, at + PAGE - 1));
        if (jobs.length === 0) break;
        yield jobs.flatMap((id) => {
          const [, buildId, attempt] = ID.exec(id) ?? [];
          return buildId === undefined ? [] : [{ buildId, attempt: Number(attempt) }];
        });
      }
    }
  }

  /**
   * Builders that are connected to the queue, with their versions; undefined where this Redis does not list its clients.
   * @throws KilnError UNAVAILABLE
   */
  async builders(): Promise<ReadonlyMap<string, string> | undefined> {
    const workers = await asked(this.#builds.getWorkers());
    const known = workers.flatMap(({ rawname }) => {
      const worker = parseWorkerName(rawname ?? '');
      return worker === undefined ? [] : [[worker.builderId, worker.version] as const];
    });
    return workers.length > 0 && known.length === 0 ? undefined : new Map(known);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const queue of [this.#builds, ...this.#parts]) await queue.close().catch(() => undefined);
  }

  async #hasJob(build: QueuedBuild): Promise<boolean> {
    const queues = build.platform === undefined ? [this.#builds] : this.#parts;
    for (const queue of queues) if ((await queue.getJob(jobId(build))) !== undefined) return true;
    return false;
  }
}

async function asked<T>(question: Promise<T>): Promise<T> {
  try {
    return await question;
  } catch (cause) {
    throw new KilnError('UNAVAILABLE', 'the queue cannot be reached', { cause });
  }
}
