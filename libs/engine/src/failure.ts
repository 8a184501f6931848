import { failureHint, instructionAt } from '#dockerfile';
import type { BuildFailure, Excerpt } from '#protocol';
import { VertexFailure } from '#solver';
import { isDiskFull, KilnError, messageOf } from '#std';
import { DISK_FULL_HINT, StepExit } from './run-exec.ts';

/** Of an instruction and of what is around it, so many lines are shown. */
const NEIGHBOURS = 2;
const SHOWN = 12;

export interface ExcerptLines {
  readonly line: number;
  readonly endLine?: number | undefined;
  /** lines before and after; 2 by default */
  readonly neighbours?: number;
}

/** Lines of a Dockerfile with their neighbours; undefined where there is no such line. */
export function excerptOf(
  file: string,
  text: string,
  { line, endLine = line, neighbours = NEIGHBOURS }: ExcerptLines,
): Excerpt | undefined {
  const all = text.replace(/\r?\n$/, '').split(/\r?\n/);
  if (line < 1 || line > all.length) return undefined;
  const firstLine = Math.max(1, line - neighbours);
  const last = Math.min(endLine, line + SHOWN - 1, all.length);
  const marked = last > line ? { endLine: last } : {};
  return { file, line, ...marked, firstLine, lines: all.slice(firstLine - 1, last + neighbours) };
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
  const { name = '', text = '' } = dockerfile ?? {};
  const excerpt = excerptOf(name, text, { line, endLine: instructionAt(text, line)?.endLine });
  const hint = hintOf(error, vertex?.label.name ?? '', failureHint(text, line));
  return {
    code: error.code,
    message: error.message,
    ...(hint === undefined ? {} : { hint }),
    ...(vertex === undefined ? {} : { vertex: vertex.digest, name: vertex.label.name }),
    ...(cause instanceof StepExit ? { exitCode: cause.exitCode } : {}),
    ...(excerpt === undefined ? {} : { excerpt }),
    ...(tail.length === 0 ? {} : { tail: [...tail] }),
  };
}

/** What a shell says with its exit code. */
const exitHints: Readonly<Record<number, string>> = {
  126: 'the command is there, but cannot be executed: give it execute permission (COPY --chmod=755), or check its #! line',
  127: 'the command is not there: install it in this stage, or check how it is written',
  137: 'the process was killed: mostly for its memory',
};

/** A mistake in the instruction's text is a likelier cause than any other. */
function hintOf(error: KilnError, name: string, written: string | undefined): string | undefined {
  if (error.traits.fault !== 'caller') return error.hint;
  const exit = error instanceof StepExit ? exitHints[error.exitCode] : undefined;
  const hint = error instanceof StepExit ? (error.hint ?? written ?? exit) : (written ?? error.hint);
  // Steps of a base's triggers are at the line of its FROM.
  if (!/^\[[^\]]*\] ONBUILD /.test(name)) return hint;
  const trigger = 'this step is a trigger (ONBUILD) of the base image in this line';
  return error.hint === undefined ? trigger : `${error.hint}; ${trigger}`;
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
