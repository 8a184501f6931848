import type { SourceResolver } from '#graph';
import { isKilnError, type KilnError } from '#std';
import { explained } from '../lint/failure-hint.ts';
import { lintFile } from '../lint/file-rules.ts';
import { type Finding, Findings } from '../lint/findings.ts';
import { lintNode } from '../lint/node-rules.ts';
import { lintOfBuild } from '../lower/lint-of-build.ts';
import { lowerStages } from '../lower/lower-dockerfile.ts';
import type { LowerOptions } from '../lower/lower-options.ts';
import { parseDockerfile, readDockerfile } from '../parse/parse-dockerfile.ts';
import { ForgivingResolver } from './forgiving-resolver.ts';

/** What is to be said about a Dockerfile and the options of its build. */
export interface Checked {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
  /** it would not build */
  readonly error: KilnError | undefined;
}

/**
 * Parses and lowers, and runs nothing. Without a target, every stage is looked at. An image that cannot be had is no
 * failure: what depends on its config is left out.
 * @throws the signal's reason, and what is no fault of the file
 */
export async function checkDockerfile(
  text: string,
  options: LowerOptions,
  resolver: SourceResolver,
  signal?: AbortSignal,
): Promise<Checked> {
  const forgiving = new ForgivingResolver(resolver);
  let findings: Findings | undefined;
  let error: KilnError | undefined;
  try {
    const read = readDockerfile(text);
    findings = new Findings(lintOfBuild(read, options));
    if (read.failure !== undefined) {
      for (const node of read.nodes) lintNode(node, findings);
      throw read.failure.thrown;
    }
    const file = parseDockerfile(text);
    lintFile(file, findings);
    const all = options.target === undefined || options.target === '';
    await lowerStages({ file, options, resolver: forgiving, findings, all, signal });
    findings.enforce();
  } catch (thrown) {
    signal?.throwIfAborted();
    if (!isKilnError(thrown) || thrown.traits.fault !== 'caller') throw thrown;
    error = explained(thrown, text);
  }
  const unseen = [...forgiving.failed].map(
    ([image, why]) => `${image} cannot be looked at, and what depends on it was not checked: ${why}`,
  );
  return { findings: findings?.list() ?? [], notes: [...unseen, ...(findings?.notes() ?? [])], error };
}
