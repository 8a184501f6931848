import type { Platform } from '#oci';
import { expandWord, noVariables } from '../expand/expand-word.ts';
import { invalid, onLine, unsupported } from '../invalid.ts';
import type { Dockerfile, From, Instruction } from '../parse/ast.ts';
import { didYouMean } from '../parse/suggest.ts';
import type { Environment } from './environment.ts';
import type { LowerOptions } from './lower-options.ts';
import { imageSource, NamedContexts } from './named-contexts.ts';
import { stagePlatform } from './stage-platform.ts';
import {
  neededStages,
  type PlannedInstruction,
  reachable,
  type Source,
  sourcesOf,
  type StagePlan,
} from './stage-plan.ts';

/** As many as a file may have instructions: each stage on a base gets the triggers of that base again. */
const TRIGGER_LIMIT = 2000;

/** All stages of a file, linked to each other; pure. */
export class StagePlanner {
  readonly #file: Dockerfile;
  readonly #options: LowerOptions;
  readonly #scope: Environment;
  readonly #contexts: NamedContexts;
  readonly #plans: StagePlan[] = [];
  readonly #byName = new Map<string, StagePlan>();
  #triggers = 0;

  constructor(file: Dockerfile, options: LowerOptions, scope: Environment) {
    this.#file = file;
    this.#options = options;
    this.#scope = scope;
    this.#contexts = new NamedContexts(options);
  }

  /** @throws KilnError DOCKERFILE_INVALID */
  plan(): readonly StagePlan[] {
    for (const { from } of this.#file.stages) this.#plans.push(onLine(from.line, () => this.#stage(from)));
    for (const [index, { instructions }] of this.#file.stages.entries()) {
      const plan = this.#plans[index];
      // A context stands for the whole stage.
      if (plan !== undefined && !plan.replaced)
        plan.instructions = instructions.map((each) => this.#linked(each, false));
    }
    if (hasCircle(this.#plans)) for (const plan of this.#plans) checkCircle(plan);
    return this.#plans;
  }

  /** The stage to build. @throws KilnError DOCKERFILE_INVALID */
  target(): StagePlan {
    const { target } = this.#options;
    const found = target ? this.#byName.get(target.toLowerCase()) : this.#plans.at(-1);
    if (found !== undefined) return found;
    const names = [...this.#byName.keys()];
    throw invalid(`target stage ${JSON.stringify(target)} could not be found${didYouMean(target ?? '', names)}`, {
      hint: names.length === 0 ? 'no stage of the Dockerfile has a name' : `stages are ${names.join(', ')}`,
    });
  }

  /**
   * Puts the triggers of its base before a stage's own instructions.
   * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED when all stages together get too many
   */
  addTriggers(plan: StagePlan, triggers: readonly Instruction[]): void {
    this.#triggers += triggers.length;
    if (this.#triggers > TRIGGER_LIMIT) {
      throw unsupported(`a build with more than ${TRIGGER_LIMIT} ONBUILD triggers`, { line: plan.from.line });
    }
    plan.instructions = [...triggers.map((each) => this.#linked(each, true)), ...plan.instructions];
    if (hasCircle([plan])) checkCircle(plan);
  }

  #stage(from: From): StagePlan {
    const { value } = expandWord(from.base, this.#scope, { escape: this.#file.escape });
    if (value === '') {
      throw invalid(`base name (${from.base}) should not be blank`, {
        hint: 'declare the argument with a default before the first FROM, or pass it with --build-arg',
      });
    }
    const platform = stagePlatform(from, this.#file, this.#scope, this.#options);
    const { name } = from;
    const target = platform ?? this.#options.platform;
    const instead = name === undefined ? undefined : this.#context(name, target, from.line);
    const base = instead ?? this.#named(value, target, from.line);
    const { noCache, noCacheFilter } = this.#options;
    const filtered = !noCache && noCacheFilter.some((each) => each.toLowerCase() === (name ?? ''));
    const plan: StagePlan = {
      index: this.#plans.length,
      from,
      base,
      platform,
      instructions: [],
      replaced: instead !== undefined,
      triggersKnown: instead !== undefined,
      ignoreCache: noCache || filtered,
      ...(filtered ? { ignoredBy: '--no-cache-filter' } : {}),
    };
    if (name !== undefined) this.#byName.set(name, plan);
    return plan;
  }

  #linked(instruction: Instruction, onbuild: boolean): PlannedInstruction {
    const from = instruction.kind === 'copy' ? instruction.from : undefined;
    const { line } = instruction;
    const source = from === undefined ? undefined : onLine(line, () => this.#copySource(from, line));
    const mounts = instruction.kind === 'run' ? instruction.mounts : [];
    const mountSources = mounts.map(({ from: name }) =>
      name === undefined ? undefined : onLine(line, () => this.#source(name, line)),
    );
    return { instruction, source, mountSources, onbuild };
  }

  #copySource(from: string, line: number): Source {
    if (expandWord(from, noVariables, { escape: this.#file.escape }).value !== from) {
      throw invalid(
        'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
        { hint: `write FROM ${from} AS name before this stage, and --from=name here` },
      );
    }
    return this.#source(from, line);
  }

  #source(from: string, line: number): Source {
    if (/^[+-]?\d+$/.test(from)) {
      const plan = this.#plans[Number(from)];
      if (plan === undefined) {
        throw invalid(`invalid stage index ${Number(from)}`, {
          hint: `stages count from 0 to ${this.#plans.length - 1}; better name them: FROM … AS name`,
        });
      }
      return { kind: 'stage', plan };
    }
    return this.#named(from, this.#options.platform, line);
  }

  /** A stage, else a context, else an image. */
  #named(name: string, platform: Platform, line: number): Source {
    const plan = this.#byName.get(name.toLowerCase());
    if (plan !== undefined) return { kind: 'stage', plan };
    return this.#context(name, platform, line) ?? imageSource(name, platform, line);
  }

  #context(name: string, platform: Platform, line: number): Source | undefined {
    return this.#contexts.find(name, platform, line, (stage) => this.#byName.get(stage));
  }
}

/** Whether one is among what these stages need; in time linear in the file, which telling where it is would not be. */
function hasCircle(plans: readonly StagePlan[]): boolean {
  const open = new Set<StagePlan>();
  const done = new Set<StagePlan>();
  for (const first of plans) {
    const path = done.has(first) ? [] : [{ plan: first, rest: neededStages(first).values() }];
    open.add(first);
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const { value: next } = last.rest.next();
      if (next === undefined) {
        open.delete(last.plan);
        done.add(last.plan);
        path.pop();
      } else if (open.has(next)) return true;
      else if (!done.has(next)) {
        open.add(next);
        path.push({ plan: next, rest: neededStages(next).values() });
      }
    }
    open.delete(first);
  }
  return false;
}

/** Only a stage that copies from itself or from a later one can be part of a circle. */
function checkCircle(plan: StagePlan): void {
  for (const planned of plan.instructions) {
    for (const source of laterStages(plan, planned)) {
      if (!reachable(source).includes(plan)) continue;
      throw invalid(`circular dependency detected on stage: ${nameOf(plan)}`, {
        line: planned.instruction.line,
        hint: 'stages cannot copy from each other: move what both need to a stage before them',
      });
    }
  }
}

/** Of the stages that an instruction takes files from, those that do not come before its own. */
function laterStages(plan: StagePlan, planned: PlannedInstruction): readonly StagePlan[] {
  return sourcesOf(planned).flatMap((source) =>
    source.kind === 'stage' && source.plan.index >= plan.index ? [source.plan] : [],
  );
}

const nameOf = ({ from, index }: StagePlan): string => from.name ?? `stage-${index}`;

/**
 * A stage cannot use what comes after it.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function checkOrder(plan: StagePlan): void {
  for (const planned of plan.instructions) {
    const [later] = laterStages(plan, planned);
    if (later === undefined) continue;
    const { instruction } = planned;
    const what = instruction.kind === 'run' ? 'mount' : 'copy';
    throw invalid(
      `cannot ${what} from stage ${JSON.stringify(nameOf(later))}, it needs to be defined before current stage ${JSON.stringify(nameOf(plan))}`,
      { line: instruction.line, hint: `move the stage ${nameOf(later)} above this one` },
    );
  }
}
