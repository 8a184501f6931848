import { expandWord } from '../expand/expand-word.ts';
import type { Environment } from '../lower/environment.ts';
import { given, globalScope } from '../lower/global-scope.ts';
import type { LowerOptions } from '../lower/lower-options.ts';
import type { StageLowerer } from '../lower/lower-stages.ts';
import { neededStages, type StagePlan } from '../lower/stage-plan.ts';
import type { Dockerfile } from '../parse/ast.ts';
import { descriptionOf } from './description.ts';

/** A build argument that a target uses. */
export interface OutlineArgument {
  readonly name: string;
  readonly value: string | undefined;
  readonly description: string | undefined;
  readonly line: number;
  readonly endLine: number;
}

interface Declared extends OutlineArgument {
  /** the arguments that its default is made of */
  readonly uses: ReadonlySet<string>;
}

/** The arguments of the stages that a target needs, and those of the global scope that their FROMs are made of. */
export class OutlineArguments {
  readonly #file: Dockerfile;
  readonly #lowerer: StageLowerer;
  readonly #scope: Environment;
  readonly #global: ReadonlyMap<string, Declared>;

  constructor(file: Dockerfile, options: LowerOptions, lowerer: StageLowerer) {
    this.#file = file;
    this.#lowerer = lowerer;
    this.#scope = globalScope(file, options);
    this.#global = globalArguments(file, options);
  }

  /** In the order of the file; of a name that several stages declare, the one nearest to the target. */
  of(target: StagePlan): readonly OutlineArgument[] {
    const found = new Map<string, OutlineArgument>();
    const seen = new Set([target]);
    // A set's walk takes in what is added meanwhile.
    for (const plan of seen) {
      for (const argument of this.#ofStage(plan)) if (!found.has(argument.name)) found.set(argument.name, argument);
      for (const needed of neededStages(plan)) seen.add(needed);
    }
    return [...found.values()].sort((a, b) => a.line - b.line);
  }

  #ofStage(plan: StagePlan): readonly OutlineArgument[] {
    const own = new Set(plan.instructions.map(({ instruction }) => instruction));
    const args = this.#lowerer.done(plan).buildArgs.filter(({ node }) => own.has(node));
    const declared = new Map(this.#global);
    for (const { name, value, node, inherited } of args) {
      if (inherited && declared.has(name)) continue;
      const { line, endLine, comments } = node;
      declared.set(name, { name, value, description: descriptionOf(comments, name), line, endLine, uses: new Set() });
    }
    const { base, platform } = plan.from;
    const used = new Set([...this.#namesIn(base), ...this.#namesIn(platform ?? ''), ...args.map(({ name }) => name)]);
    for (const name of used) for (const deeper of declared.get(name)?.uses ?? []) used.add(deeper);
    return [...used].flatMap((name) => declared.get(name) ?? []);
  }

  #namesIn(word: string): ReadonlySet<string> {
    return expandWord(word, this.#scope, { escape: this.#file.escape }).matched;
  }
}

/** A name that is declared again on top of itself uses what it was made of before. */
function globalArguments(file: Dockerfile, options: LowerOptions): ReadonlyMap<string, Declared> {
  const declared = new Map<string, Declared>();
  const scope = globalScope({ ...file, globalArgs: [] }, options);
  for (const { args, line, endLine, comments } of file.globalArgs) {
    for (const { name, value: declaredValue } of args) {
      const override = given(options.buildArgs, name);
      const { value, matched } = expandWord(override === undefined ? (declaredValue ?? '') : '', scope, {
        escape: file.escape,
      });
      if (override !== undefined || declaredValue !== undefined) scope.set(name, override ?? value);
      const uses = new Set(matched);
      if (uses.delete(name)) for (const deeper of declared.get(name)?.uses ?? []) uses.add(deeper);
      const description = descriptionOf(comments, name);
      declared.set(name, { name, value: scope.get(name), description, line, endLine, uses });
    }
  }
  return declared;
}
