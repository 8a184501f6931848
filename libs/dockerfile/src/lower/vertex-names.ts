import type { VertexLabel } from '#graph';
import { expandWord } from '../expand/expand-word.ts';
import type { EscapeToken } from '../lex/directives.ts';
import type { Instruction } from '../parse/ast.ts';
import type { Environment } from './environment.ts';
import type { StagePlan } from './stage-plan.ts';

const counted = new Set<Instruction['kind']>(['add', 'copy', 'run', 'workdir']);

/** Numbers the steps of one stage for the people who watch: `[build 2/5] RUN make`. */
export class VertexNames {
  readonly #plan: StagePlan;
  /** empty for a file of one stage */
  readonly #name: string;
  readonly #total: number;
  #index = 0;

  constructor(plan: StagePlan, name: string) {
    this.#plan = plan;
    this.#name = name;
    const steps = plan.instructions.filter(({ instruction }) => counted.has(instruction.kind));
    this.#total = steps.length + (plan.base.kind === 'image' || plan.base.kind === 'context' ? 1 : 0);
  }

  /** @param line that of FROM by default */
  label(text: string, { line = this.#plan.from.line, onbuild = false } = {}): VertexLabel {
    this.#index += 1;
    const width = String(this.#total).length;
    const stage = this.#name === '' ? '' : `${this.#name} `;
    const position = `${String(this.#index).padStart(width)}/${this.#total}`;
    return {
      name: `[${stage}${position}] ${onbuild ? 'ONBUILD ' : ''}${text}`,
      stage: this.#plan.from.name ?? String(this.#plan.index),
      line,
      ignoreCache: this.#plan.ignoreCache,
    };
  }
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
