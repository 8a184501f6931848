import type { SourceResolver } from '#graph';
import { checkDockerfile, type Checked } from '../inspect/check-dockerfile.ts';
import { FakeRegistry, plainOptions } from '../lower/lowered.fixture.ts';
import type { LowerOptions } from '../lower/lower-options.ts';
import type { ContextFiles } from './context-files.ts';

export function check(
  text: string,
  options: Partial<LowerOptions> = {},
  registry: SourceResolver = new FakeRegistry(),
): Promise<Checked> {
  return checkDockerfile(text, { ...plainOptions, ...options }, registry);
}

/** `line Rule: message`, in the order of the file. */
export async function found(
  text: string,
  options: Partial<LowerOptions> = {},
  registry?: SourceResolver,
): Promise<readonly string[]> {
  const { findings, error } = await check(text, options, registry);
  if (error !== undefined) throw error;
  return findings.map(({ rule, message, line }) => `${line} ${rule}: ${message}`);
}

/** Rules and lines alone. */
export async function rulesIn(text: string, options: Partial<LowerOptions> = {}): Promise<readonly string[]> {
  return (await found(text, options)).map((line) => line.replace(/:.*/, ''));
}

/** A context of these files, without a .dockerignore. */
export function filesOf(...paths: readonly string[]): ContextFiles {
  return {
    has: (path) => paths.some((each) => each === path || each.startsWith(`${path}/`)),
    below: (directory) => paths.filter((path) => directory === '' || path.startsWith(`${directory}/`)),
    excludes: undefined,
  };
}
