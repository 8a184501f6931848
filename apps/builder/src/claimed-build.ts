import { HEARTBEAT_PERIOD_MS } from '#dispatch';
import type { BuildMeter } from '#metrics';
import type { BuildFailure, BuildResult } from '#protocol';
import { Bell, isDiskFull, isKilnError, type Logger, messageOf } from '#std';
import { BuildKeys, type Claim, type FinalEvent } from '#storage';
import type { BuildRunnerOptions } from './build-runner-options.ts';
import { runClaimedJob } from './claimed-job.ts';
import { EventWriter } from './event-writer.ts';
import { type Patience, patience } from './patience.ts';

/** Why a build is stopped from outside; the reason of its signal. */
type Stop = 'cancelled' | 'fenced' | 'shutdown';

class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor(
    readonly why: Stop,
    message = `the build was stopped: ${why}`,
  ) {
    super(message);
  }
}

/** One build under one claim: heartbeat → build → final event. */
export class ClaimedBuild {
  /** questions to the cache's index */
  #lookups = 0;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #writer: EventWriter;
  readonly #wait: Patience;
  readonly #meter: BuildMeter;
  readonly #keys: BuildKeys;
  /** once it has been given, the build cannot end otherwise */
  #answer: BuildResult | undefined;

  constructor(
    readonly options: BuildRunnerOptions,
    readonly claim: Claim,
    readonly logger: Logger,
  ) {
    const { clock, db, ledger } = options;
    this.#keys = new BuildKeys({ db, claim, logger });
    this.#signal = this.#stop.signal;
    this.#meter = options.metrics.build(claim.part === null ? 'build' : 'part');
    this.#writer = new EventWriter({
      append: (events) => ledger.append(claim, events),
      clock,
      logger,
      onLost: (thrown) => this.#lost(thrown),
    });
    this.#wait = patience({ clock, logger, signal: this.#signal });
  }

  async run(): Promise<void> {
    const { shutdown } = this.options;
    const onShutdown = (): void => this.#stop.abort(new Stopped('shutdown'));
    shutdown.addEventListener('abort', onShutdown);
    if (shutdown.aborted) onShutdown();
    const { cancelReason } = this.claim;
    if (cancelReason !== null) this.#stop.abort(new Stopped('cancelled', cancelReason));
    const ended = new AbortController();
    const beating = this.#beat(ended.signal);
    try {
      await this.#end(await this.#outcome());
    } catch (thrown) {
      if (isStopped(thrown, 'fenced') || isKilnError(thrown, 'FENCED')) {
        this.#meter.lost();
        this.logger.warn('the build has gone to another builder');
      } else if (isStopped(thrown, 'shutdown')) {
        await this.#release();
      } else {
        // The claim expires, and the build is tried again.
        this.logger.error('the build could not be ended', { error: thrown });
      }
    } finally {
      this.#meter[Symbol.dispose]();
      ended.abort();
      await beating;
      shutdown.removeEventListener('abort', onShutdown);
    }
  }

  /** @throws what stops the build without ending it */
  async #outcome(): Promise<FinalEvent> {
    const { clock, builderId } = this.options;
    try {
      this.#signal.throwIfAborted();
      const started = { type: 'started', atMs: clock.nowMs(), builderId, attempt: this.claim.attempt } as const;
      this.#meter.see(started);
      void this.#writer.emit(started);
      const outcome = await runClaimedJob(this.options, {
        claim: this.claim,
        logger: this.logger,
        signal: this.#signal,
        wait: this.#wait,
        keys: this.#keys,
        onLookup: () => this.#lookups++,
        emit: (event) => {
          this.#meter.see(event);
          return this.#writer.emit(event);
        },
        deliver: (result) => this.#deliver(result),
      });
      const atMs = clock.nowMs();
      return outcome.state === 'succeeded'
        ? { type: 'succeeded', atMs, result: outcome.result }
        : { type: 'failed', atMs, failure: outcome.failure };
    } catch (thrown) {
      const atMs = clock.nowMs();
      if (thrown instanceof Stopped && thrown.why !== 'cancelled') throw thrown;
      if (isKilnError(thrown, 'FENCED')) throw thrown;
      if (this.#answer !== undefined) return this.#answered(this.#answer, thrown);
      if (isStopped(thrown, 'cancelled')) return { type: 'cancelled', atMs, reason: messageOf(thrown) };
      this.logger.error('the build failed for a reason of the farm', { error: thrown });
      return { type: 'failed', atMs, failure: farmFailure(thrown) };
    }
  }

  #answered(result: BuildResult, thrown: unknown): FinalEvent {
    this.logger.error('the cache of a build that had given its answer was not written whole', { error: thrown });
    return { type: 'succeeded', atMs: this.options.clock.nowMs(), result };
  }

  async #deliver(result: BuildResult): Promise<void> {
    void this.#writer.emit({ type: 'delivered', atMs: this.options.clock.nowMs(), result });
    await this.#writer.flush();
    this.#answer = result;
  }

  /** Makes the events durable, then the end. */
  async #end(event: FinalEvent): Promise<void> {
    const { ledger, clock, shutdown } = this.options;
    await Promise.all([this.#writer.flush(), this.#keys.settled()]);
    // Not under the build's own signal: a build that was cancelled has to be ended too.
    const wait = patience({ clock, logger: this.logger, signal: shutdown });
    await wait(() => ledger.finish(this.claim, event));
    this.#meter.end(event);
    this.logger.info('build ended', { state: event.type, lookups: this.#lookups });
  }

  async #release(): Promise<void> {
    try {
      await this.#writer.flush();
      await this.options.ledger.release(this.claim);
      this.logger.info('the build is given back');
    } catch (thrown) {
      this.logger.warn('the build could not be given back; its claim expires', { error: messageOf(thrown) });
    }
  }

  /** Says that the builder lives, and hears whether the build is still wanted here. */
  async #beat(ended: AbortSignal): Promise<void> {
    const { ledger, clock } = this.options;
    const bell = new Bell(clock);
    using _cancel = ledger.onCancel(this.claim, () => bell.ring());
    while (!ended.aborted) {
      await bell.wait(HEARTBEAT_PERIOD_MS, ended);
      if (ended.aborted) return;
      try {
        const { cancelReason } = await ledger.heartbeat(this.claim);
        if (cancelReason !== null) this.#stop.abort(new Stopped('cancelled', cancelReason));
      } catch (thrown) {
        if (ended.aborted) return;
        if (isKilnError(thrown, 'FENCED')) return this.#lost(thrown);
        this.options.metrics.heartbeatFailed();
        this.logger.warn('the build’s heartbeat failed', { error: messageOf(thrown) });
      }
    }
  }

  #lost(thrown: unknown): void {
    if (!isKilnError(thrown, 'FENCED')) this.logger.error('events cannot be kept', { error: thrown });
    this.#stop.abort(new Stopped('fenced'));
  }
}

function isStopped(thrown: unknown, why: Stop): boolean {
  return thrown instanceof Stopped && thrown.why === why;
}

function farmFailure(thrown: unknown): BuildFailure {
  if (isDiskFull(thrown)) {
    const hint = 'make room on it, or give it a larger one';
    return { code: 'DISK_FULL', message: `the builder’s disk is full: ${messageOf(thrown)}`, hint };
  }
  if (!isKilnError(thrown)) {
    return { code: 'INTERNAL', message: `the builder failed: ${messageOf(thrown)}`, hint: 'its log says more' };
  }
  const { code, message, hint } = thrown;
  return hint === undefined ? { code, message } : { code, message, hint };
}
