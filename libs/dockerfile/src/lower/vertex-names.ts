import type { VertexLabel } from '#graph';
import { formatPlatform, normalisePlatform, type Platform } from '#oci';
import { expandWord } from '../expand/expand-word.ts';
import type { EscapeToken } from '../lex/directives.ts';
import type { Instruction } from '../parse/ast.ts';
import type { Environment } from './environment.ts';
import type { StagePlan } from './stage-plan.ts';

const counted = new Set<Instruction['kind']>(['add', 'copy', 'run', 'workdir']);

/** What a stage is to its steps' names. */
export interface StageNaming {
  /** empty for a file of one stage */
  readonly name: string;
  /** of the stage, where the build is for several */
  readonly platform: Platform | undefined;
}

interface LabelOptions {
  readonly line?: number | undefined;
  readonly onbuild?: boolean | undefined;
  readonly ttlMs?: number | undefined;
}

/** Numbers the steps of one stage for the people who watch: `[build 2/5] RUN make`. */
export class VertexNames {
  readonly #plan: StagePlan;
  readonly #naming: StageNaming;
  readonly #total: number;
  #env: Environment | undefined;
  #index = 0;

  constructor(plan: StagePlan, naming: StageNaming) {
    this.#plan = plan;
    this.#naming = naming;
    const steps = plan.instructions.filter(({ instruction }) => counted.has(instruction.kind));
    this.#total = steps.length + (plan.base.kind === 'image' || plan.base.kind === 'context' ? 1 : 0);
  }

  /** From here on, steps that know another target platform than their own tell it. */
  follow(env: Environment): void {
    this.#env = env;
  }

  /** @param line that of FROM by default */
  label(text: string, { line = this.#plan.from.line, onbuild = false, ttlMs }: LabelOptions = {}): VertexLabel {
    this.#index += 1;
    const width = String(this.#total).length;
    const { ignoreCache, ignoredBy } = this.#plan;
    const { name, platform } = this.#naming;
    const on = platform === undefined ? '' : `${formatPlatform(platform)}${crossTarget(platform, this.#env)} `;
    const stage = on + (name === '' ? '' : `${name} `);
    const position = `${String(this.#index).padStart(width)}/${this.#total}`;
    return {
      name: `[${stage}${position}] ${onbuild ? 'ONBUILD ' : ''}${text}`,
      stage: this.#plan.from.name ?? String(this.#plan.index),
      line,
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ignoreCache,
      ...(ignoredBy === undefined ? {} : { ignoredBy }),
    };
  }
}

/** `->arm64` for a step of a cross-compiling stage; empty where the step does not ask for its target. */
function crossTarget(own: Platform, env: Environment | undefined): string {
  const whole = env?.get('TARGETPLATFORM');
  const [os = own.os, architecture = own.architecture, variant] =
    whole === undefined
      ? [env?.get('TARGETOS'), env?.get('TARGETARCH'), env?.get('TARGETVARIANT') || undefined]
      : whole.split('/');
  const target = normalisePlatform({ os, architecture, variant });
  if (target.os !== own.os) return `->${formatPlatform(target)}`;
  return target.architecture === own.architecture ? '' : `->${formatPlatform(target).slice(target.os.length + 1)}`;
}

/** The instruction on one line, keyword in upper case, as it was written. */
export function writtenName({ text }: Instruction): string {
  return text.replace(/^\S+/, (keyword) => keyword.toUpperCase());
}

/** The same, with variables replaced where that can be done. */
export function expandedName(instruction: Instruction, env: Environment, escape: EscapeToken): string {
  const written = writtenName(instruction);
  try {
    return expandWord(written, env, { escape }).value;
  } catch {
    // Quotes that do not pair up are a matter of the instruction's own words, which have been checked.
    return written;
  }
}
