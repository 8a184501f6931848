import { type ErrorDetails, isKilnError, KilnError } from '#std';

/** Characters. */
const MESSAGE_LIMIT = 1000;

/** The Dockerfile does not parse or does not make sense. */
export function invalid(message: string, details: ErrorDetails = {}): KilnError {
  return new KilnError('DOCKERFILE_INVALID', clipped(message), details);
}

/** The Dockerfile asks for `feature`, which Kiln does not offer. */
export function unsupported(feature: string, details: ErrorDetails = {}): KilnError {
  return new KilnError('DOCKERFILE_UNSUPPORTED', `${clipped(feature)} is not supported`, details);
}

/** A message quotes the file, whose words can be of any length. */
function clipped(message: string): string {
  return message.length <= MESSAGE_LIMIT ? message : `${message.slice(0, MESSAGE_LIMIT)}…`;
}

/** A failure that does not know its line gets this one. */
export function atLine(thrown: unknown, line: number): unknown {
  if (!isKilnError(thrown) || thrown.line !== undefined) return thrown;
  const { code, message, hint, field, cause } = thrown;
  return new KilnError(code, message, { hint, field, line, cause: cause ?? thrown });
}

/** Runs `work`; what fails in it names the line. */
export function onLine<T>(line: number, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw atLine(thrown, line);
  }
}
