import type { Warning } from '#graph';
import { isKilnError, KilnError } from '#std';
import type { Findings } from '../lint/findings.ts';

/** A Dockerfile that does not build, with what was found in it until then. */
export class LoweringFailure extends KilnError {
  readonly warnings: readonly Warning[];

  constructor({ code, message, hint, field, line, cause }: KilnError, warnings: readonly Warning[]) {
    super(code, message, { hint, field, line, cause });
    this.warnings = warnings;
  }

  /** Failures of the file itself alone: a cancelled build has nobody to tell. */
  static of(thrown: unknown, findings: Findings): unknown {
    const own = isKilnError(thrown, 'DOCKERFILE_INVALID', 'DOCKERFILE_UNSUPPORTED', 'IMAGE_NOT_FOUND');
    return own ? new LoweringFailure(thrown, findings.warnings()) : thrown;
  }
}
