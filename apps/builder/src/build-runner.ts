import { HEARTBEAT_TTL_MS } from '#dispatch';
import { parsePlatform, runsOn } from '#oci';
import type { BuildJob } from '#protocol';
import { type Logger, messageOf } from '#std';
import type { BuildRunnerOptions } from './build-runner-options.ts';
import { ClaimedBuild } from './claimed-build.ts';
import type { Intake } from './intake.ts';
import { patience } from './patience.ts';

export interface WaysOut {
  /** called when another builder works less than this one; throws when the build is left to it */
  readonly giveWay: () => Promise<void>;
  /** called when this builder takes no more: the build is left to another one */
  readonly leave: () => Promise<never>;
}

/** Takes a job from the queue to its end: claim → heartbeat → build → final event. */
export class BuildRunner {
  readonly #options: BuildRunnerOptions;
  #running = 0;

  constructor(options: BuildRunnerOptions) {
    this.#options = options;
  }

  get intake(): Intake {
    return this.#options.intake;
  }

  /**
   * Resolves when this builder is done with the build, whether it ended here, was taken over, or was given back.
   */
  async run(job: BuildJob, { giveWay, leave }: WaysOut): Promise<void> {
    // The reconciler finds what is left lying here.
    if (this.#options.draining.aborted) return;
    if (!this.#options.intake.isOpen) await leave();
    // Counted before the first wait: two that come at one moment do not both see the room for one.
    const others = this.#running++;
    try {
      if (others > 0 && (await this.#hasFreer(others))) await giveWay();
      await this.#claimAndRun(job);
    } finally {
      this.#running--;
    }
  }

  /** The same for a part of another builder's build; these have slots of their own, and wait for nobody. */
  async runPart(job: BuildJob): Promise<void> {
    if (this.#options.draining.aborted || !this.#options.intake.isOpen) return;
    await this.#claimAndRun(job);
  }

  async #hasFreer(running: number): Promise<boolean> {
    const { builders, builderId, logger } = this.#options;
    try {
      return await builders.hasFreer(builderId, running, HEARTBEAT_TTL_MS);
    } catch (thrown) {
      logger.warn('cannot tell which builder is free', { error: messageOf(thrown) });
      return false;
    }
  }

  async #claimAndRun(job: BuildJob): Promise<void> {
    const { ledger, builderId, logger, shutdown, clock } = this.#options;
    const log = withFields(logger, { buildId: job.buildId });
    const wait = patience({ clock, logger: log, signal: shutdown });
    const claim = await wait(() => ledger.claim(job.buildId, job.attempt, builderId));
    // Another builder has it, or it has ended: the queue may say things twice.
    if (claim === null) return;
    if (claim.part !== null && !this.#isFit(claim.part.platform)) {
      log.warn('a part is given back: its platform does not run here', { platform: claim.part.platform });
      return await wait(() => ledger.release(claim));
    }
    log.info('build claimed', { attempt: claim.attempt, fence: claim.fence });
    await new ClaimedBuild(this.#options, claim, log).run();
    if (claim.part === null) await this.#admit(claim.projectId);
  }

  /** A project that may run so many builds at once has room for another; where this fails, the reconciler finds it. */
  async #admit(projectId: string): Promise<void> {
    const { ledger, builds, logger } = this.#options;
    try {
      await builds.add(await ledger.admitted(projectId));
    } catch (thrown) {
      logger.warn('builds that wait for room are not in the queue yet', { error: messageOf(thrown) });
    }
  }

  #isFit(platform: string): boolean {
    const { native, emulated } = this.#options.engine.platforms;
    return [...native, ...emulated].some((own) => runsOn(own, parsePlatform(platform)));
  }
}

function withFields(logger: Logger, fields: Readonly<Record<string, unknown>>): Logger {
  return {
    info: (message, more) => logger.info(message, { ...fields, ...more }),
    warn: (message, more) => logger.warn(message, { ...fields, ...more }),
    error: (message, more) => logger.error(message, { ...fields, ...more }),
  };
}
