import type { ImageResolver, Lowered } from '#graph';
import { KilnError } from '#std';
import type { Dockerfile } from '../parse/ast.ts';
import type { LowerOptions } from './lower-options.ts';

/** @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED, and what the resolver throws */
export async function lowerDockerfile(
  _file: Dockerfile,
  _options: LowerOptions,
  _resolver: ImageResolver,
  _signal?: AbortSignal,
): Promise<Lowered> {
  throw new KilnError('DOCKERFILE_UNSUPPORTED', 'not there yet');
}
