/** Whose fault a failure is, whether trying again can help, and how HTTP and the CLI show it. */
export interface Traits {
  readonly fault: 'caller' | 'farm' | 'upstream';
  readonly retryable: boolean;
  readonly http: number;
  /** CLI exit code (1 the build failed, 2 wrong use, 3 farm unreachable or refusing, 130 interrupted). */
  readonly exit: number;
}

/** The one table of error codes. Codes are API: never rename one. */
export const errorTraits = {
  INVALID_ARGUMENT: { fault: 'caller', retryable: false, http: 400, exit: 2 },
  UNAUTHENTICATED: { fault: 'caller', retryable: false, http: 401, exit: 3 },
  PERMISSION_DENIED: { fault: 'caller', retryable: false, http: 403, exit: 3 },
  NOT_FOUND: { fault: 'caller', retryable: false, http: 404, exit: 1 },
  CONFLICT: { fault: 'caller', retryable: false, http: 409, exit: 1 },
  LIMIT_EXCEEDED: { fault: 'caller', retryable: false, http: 413, exit: 3 },
  RATE_LIMITED: { fault: 'caller', retryable: true, http: 429, exit: 3 },
  CANCELLED: { fault: 'caller', retryable: false, http: 409, exit: 1 },
  /** The Dockerfile does not parse or does not make sense. */
  DOCKERFILE_INVALID: { fault: 'caller', retryable: false, http: 422, exit: 1 },
  /** The Dockerfile asks for something that Kiln does not offer. */
  DOCKERFILE_UNSUPPORTED: { fault: 'caller', retryable: false, http: 422, exit: 1 },
  /** A step ran and failed. */
  STEP_FAILED: { fault: 'caller', retryable: false, http: 422, exit: 1 },
  /** No builder of the farm runs programs of a step's platform. */
  PLATFORM_UNAVAILABLE: { fault: 'farm', retryable: false, http: 422, exit: 1 },
  /** A COPY or ADD source is not in its context or stage. */
  SOURCE_NOT_FOUND: { fault: 'caller', retryable: false, http: 422, exit: 1 },
  /** A context archive is damaged or names paths outside of its root. */
  CONTEXT_INVALID: { fault: 'caller', retryable: false, http: 400, exit: 1 },
  /** A base image or an image to be pushed was refused or not found by its registry. */
  IMAGE_NOT_FOUND: { fault: 'caller', retryable: false, http: 422, exit: 1 },
  REGISTRY_DENIED: { fault: 'caller', retryable: false, http: 422, exit: 1 },
  REGISTRY_FAILED: { fault: 'upstream', retryable: true, http: 502, exit: 1 },
  /** No connection at all: the name does not resolve, or nobody answers. */
  REGISTRY_UNREACHABLE: { fault: 'upstream', retryable: true, http: 502, exit: 1 },
  UPSTREAM_UNAVAILABLE: { fault: 'upstream', retryable: true, http: 502, exit: 1 },
  /** A blob is not in the content store. */
  BLOB_MISSING: { fault: 'farm', retryable: true, http: 500, exit: 1 },
  /** Bytes differ from their digest. */
  BLOB_CORRUPT: { fault: 'farm', retryable: true, http: 500, exit: 1 },
  /** This process no longer owns the build that it works on. */
  FENCED: { fault: 'farm', retryable: true, http: 409, exit: 1 },
  /** A sandbox could not be started (the step did not run). */
  SANDBOX_FAILED: { fault: 'farm', retryable: true, http: 500, exit: 1 },
  /** A node has no room left for what it has to write. */
  DISK_FULL: { fault: 'farm', retryable: true, http: 507, exit: 1 },
  UNAVAILABLE: { fault: 'farm', retryable: true, http: 503, exit: 3 },
  FARM_UNREACHABLE: { fault: 'farm', retryable: true, http: 503, exit: 3 },
  INTERNAL: { fault: 'farm', retryable: false, http: 500, exit: 1 },
} as const satisfies Record<string, Traits>;

export type ErrorCode = keyof typeof errorTraits;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTraits, text);
}

/** What a {@link KilnError} says beside code and message. */
export interface ErrorDetails {
  /** The next step to take, for a person. */
  readonly hint?: string | undefined;
  /** The request field that is wrong, as a JSON path such as `tags[0]`. */
  readonly field?: string | undefined;
  /** Line in the Dockerfile, from 1. */
  readonly line?: number | undefined;
  readonly cause?: unknown;
}

/** The only error that crosses a library's door on purpose. */
export class KilnError extends Error {
  override readonly name = 'KilnError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly field: string | undefined;
  readonly line: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.field = details.field;
    this.line = details.line;
  }

  get traits(): Traits {
    return errorTraits[this.code];
  }
}

export function isKilnError(thrown: unknown, ...codes: readonly ErrorCode[]): thrown is KilnError {
  return thrown instanceof KilnError && (codes.length === 0 || codes.includes(thrown.code));
}

/** A message for a person from anything thrown. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown instanceof AggregateError && thrown.message === '') return thrown.errors.map(messageOf).join('; ');
  return thrown.message;
}

/** The `code` of a Node system error (`ENOENT`), or undefined. */
export function systemCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** Whether this, or what caused it, is a lack of room on a disk. */
export function isDiskFull(thrown: unknown): boolean {
  for (let cause = thrown, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '') || /\bENOSPC\b/.test(cause.message)) return true;
  }
  return false;
}

/** For the `default` of a switch over a union: a new member fails to compile. */
export function unreachable(value: never): never {
  throw new KilnError('INTERNAL', `unexpected ${JSON.stringify(value)}`);
}
