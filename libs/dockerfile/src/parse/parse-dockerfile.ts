import { KilnError } from '#std';
import type { Dockerfile } from './ast.ts';

/** @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED, with the line */
export function parseDockerfile(_text: string): Dockerfile {
  throw new KilnError('DOCKERFILE_UNSUPPORTED', 'not there yet');
}
