import { familiarReference, formatReference, parseReference, type Platform } from '#oci';
import { isKilnError } from '#std';
import { invalid } from '../invalid.ts';
import type { LowerOptions, NamedContext } from './lower-options.ts';
import type { Source } from './stage-plan.ts';

/** They mean something else. */
const reserved = ['scratch', 'context'];

/**
 * The contexts of `--build-context`, by the names of stages and images that they stand for: in lower case, and for images
 * however they are spelt (`alpine` is `docker.io/library/alpine:latest`).
 */
export class NamedContexts {
  readonly #byName: ReadonlyMap<string, { readonly name: string; readonly context: NamedContext }>;

  constructor({ contexts = {} }: LowerOptions) {
    const named = Object.entries(contexts).filter(([name]) => !reserved.includes(name.toLowerCase()));
    this.#byName = new Map(named.map(([name, context]) => [canonical(name), { name, context }]));
  }

  /**
   * What stands for a stage or an image; undefined where nothing does.
   * @param line of what names it
   * @throws KilnError DOCKERFILE_INVALID
   */
  find(name: string, platform: Platform, line: number): Source | undefined {
    if (this.#byName.size === 0 || reserved.includes(name.toLowerCase())) return undefined;
    const found = this.#byName.get(canonical(name));
    if (found === undefined) return undefined;
    const { context } = found;
    switch (context.type) {
      case 'local':
      case 'git':
      case 'http':
        return { kind: 'context', name: found.name, context, line };
      case 'image':
        return imageSource(context.reference, platform, line);
      case 'ociLayout': {
        const { tag: _, ...named } = parseReference(canonical(found.name));
        const reference = formatReference({ ...named, digest: context.digest });
        return { kind: 'image', name: found.name, reference, platform, line, layout: found.name };
      }
    }
  }
}

/** An image by its name. @throws KilnError DOCKERFILE_INVALID */
export function imageSource(name: string, platform: Platform, line: number): Source {
  if (name === 'scratch') return { kind: 'scratch' };
  try {
    return { kind: 'image', name, reference: formatReference(parseReference(name)), platform, line };
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw invalid(`failed to parse stage name ${JSON.stringify(name)}: ${thrown.message}`, {
      hint: thrown.hint,
      cause: thrown,
    });
  }
}

function canonical(name: string): string {
  const lower = name.toLowerCase();
  try {
    return familiarReference(parseReference(lower)).replace(/:latest$/, '');
  } catch {
    return lower;
  }
}
