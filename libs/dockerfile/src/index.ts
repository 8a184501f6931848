export { lowerDockerfile } from './lower/lower-dockerfile.ts';
export type { LowerOptions } from './lower/lower-options.ts';
export type { Dockerfile, Instruction, Stage } from './parse/ast.ts';
export { parseDockerfile } from './parse/parse-dockerfile.ts';
