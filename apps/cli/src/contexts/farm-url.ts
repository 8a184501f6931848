import { usageError } from '../usage.ts';

/**
 * A farm's URL without a slash at its end.
 * @param what as errors name it: `KILN_URL`, `--url`
 * @throws KilnError INVALID_ARGUMENT
 */
export function farmUrl(value: string, what: string): string {
  const url = URL.parse(value);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw usageError(`${what} is not a URL: ${JSON.stringify(value)}`, 'write it as https://farm.example.com');
  }
  if (url.username !== '' || url.password !== '')
    throw usageError(`${what} has a user or a password in it`, 'leave them out: kiln login keeps the token');
  return value.replace(/\/+$/, '');
}

/** Whether what is sent to one URL reaches whom the other names: scheme, host and port are the same. */
export function sameOrigin(a: string, b: string): boolean {
  const [left, right] = [URL.parse(a)?.origin, URL.parse(b)?.origin];
  return left !== undefined && left === right;
}
