import { type Edge, type ImageStep, MAX_IMAGE_STEPS } from '#graph';
import type { From, Instruction } from '../parse/ast.ts';
import type { StageState } from './stage-state.ts';

interface Step {
  readonly node: From | Instruction;
  /** of the stage */
  readonly index: number;
  readonly onbuild: boolean;
  /** the tree before it; undefined for FROM */
  readonly before: Edge | undefined;
}

/** What each stage is after each of its instructions. */
export class ImageSteps {
  #steps: ImageStep[] = [];
  #tooMany = false;

  add({ node, index, onbuild, before }: Step, state: StageState): void {
    if (this.#tooMany) return;
    const { root, author, image: base, history } = state;
    const config = state.runConfig();
    state.env.meter.copy((config.Env ?? []).length + history.length);
    this.#steps.push({
      line: node.line,
      text: node.text,
      stage: index,
      onbuild,
      root,
      made: before !== undefined && before.vertex !== root.vertex,
      image: { config, author, base, history: [...history] },
    });
    this.#tooMany = this.#steps.length > MAX_IMAGE_STEPS;
  }

  list(): readonly ImageStep[] {
    return this.#tooMany ? [] : this.#steps;
  }
}
