import { KilnError, messageOf, systemCode } from '#std';

/** SQLSTATE classes and codes after which the same statement may succeed later. */
const passing = /^(08|53|57P|40001|40P01|25P03|57014)/;
/** What the driver says, without a code, of a connection that broke. */
const broken =
  /connection terminated|connection ended|client has encountered a connection error|timeout exceeded|read timeout|connection timeout|not queryable|after calling end/i;
const network = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function passes(thrown: unknown): boolean {
  if (thrown instanceof AggregateError) return thrown.errors.some(passes);
  const code = systemCode(thrown);
  if (code !== undefined && (network.has(code) || passing.test(code))) return true;
  return code === undefined && thrown instanceof Error && broken.test(thrown.message);
}

/** What the driver throws, as the table of codes has it: UNAVAILABLE when it passes, INTERNAL when it is our mistake. */
export function databaseError(thrown: unknown): KilnError {
  if (thrown instanceof KilnError) return thrown;
  if (!passes(thrown))
    return new KilnError('INTERNAL', `the database refused: ${messageOf(thrown)}`, { cause: thrown });
  return new KilnError('UNAVAILABLE', 'the database cannot be reached', {
    cause: thrown,
    hint: 'try again; when it lasts, check that Postgres runs and KILN_DATABASE_URL is right',
  });
}
