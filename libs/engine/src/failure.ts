import type { BuildFailure, Excerpt } from '#protocol';
import { VertexFailure } from '#solver';
import { isDiskFull, KilnError, messageOf } from '#std';
import { DISK_FULL_HINT, StepExit } from './run-exec.ts';

const NEIGHBOURS = 2;

/** The lines around one line of a Dockerfile; undefined where there is no such line. */
export function excerptOf(file: string, text: string, line: number): Excerpt | undefined {
  const all = text.replace(/\r?\n$/, '').split(/\r?\n/);
  if (line < 1 || line > all.length) return undefined;
  const firstLine = Math.max(1, line - NEIGHBOURS);
  return { file, line, firstLine, lines: all.slice(firstLine - 1, line + NEIGHBOURS) };
}

/** What of a build's failure people see. */
export function failureOf(
  thrown: unknown,
  dockerfile: { readonly name: string; readonly text: string } | undefined,
  tail: readonly string[],
): BuildFailure {
  const vertex = thrown instanceof VertexFailure ? thrown.vertex : undefined;
  const cause = thrown instanceof VertexFailure ? thrown.cause : thrown;
  const error = cause instanceof KilnError && !isDiskFull(cause) ? cause : ownFailure(cause);
  const line = error.line ?? vertex?.label.line ?? 0;
  const excerpt = dockerfile === undefined ? undefined : excerptOf(dockerfile.name, dockerfile.text, line);
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(vertex === undefined ? {} : { vertex: vertex.digest, name: vertex.label.name }),
    ...(cause instanceof StepExit ? { exitCode: cause.exitCode } : {}),
    ...(excerpt === undefined ? {} : { excerpt }),
    ...(tail.length === 0 ? {} : { tail: [...tail] }),
  };
}

/** What is not the build's fault. */
function ownFailure(cause: unknown): KilnError {
  if (isDiskFull(cause)) {
    return new KilnError('DISK_FULL', `the builder’s disk is full: ${messageOf(cause)}`, {
      hint: DISK_FULL_HINT,
      cause,
    });
  }
  return new KilnError('INTERNAL', `an error of the farm: ${messageOf(cause)}`, { cause });
}
