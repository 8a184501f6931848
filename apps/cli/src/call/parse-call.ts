import type { BuildReport } from '#protocol';
import { usageError } from '../usage.ts';

/** What is asked instead of a build, and how it is printed. */
export interface Call {
  readonly method: BuildReport['call'];
  readonly format: 'text' | 'json';
  /** findings of a check are no failure */
  readonly ignoreStatus: boolean;
}

const methods: Readonly<Record<string, Call['method'] | 'build'>> = {
  build: 'build',
  check: 'check',
  lint: 'check',
  outline: 'outline',
  targets: 'targets',
};

/**
 * `--call METHOD[,format=json|text][,ignorestatus=true]`, as docker buildx has it; undefined for a build.
 * @throws KilnError INVALID_ARGUMENT
 */
export function parseCall(value: string): Call | undefined {
  let method: Call['method'] | 'build' | undefined;
  let format: Call['format'] = 'text';
  let ignoreStatus = false;
  for (const field of value.split(',')) {
    const [name = '', given] = field.split(/=(.*)/s);
    if (given === undefined) {
      if (method !== undefined) throw usageError(`--call names two methods: ${value}`, 'name one of them');
      method = Object.hasOwn(methods, name) ? methods[name] : undefined;
      if (method === undefined) {
        throw usageError(`--call=${name} is not known`, `there are: ${Object.keys(methods).join(', ')}`);
      }
    } else if (name === 'format') {
      if (given !== 'json' && given !== 'text') throw usageError(`--call: format=${given} is neither json nor text`);
      format = given;
    } else if (name === 'ignorestatus') {
      if (!['true', '1', 'false', '0'].includes(given)) {
        throw usageError(`--call: ignorestatus=${given} is neither true nor false`);
      }
      ignoreStatus = given === 'true' || given === '1';
    } else throw usageError(`--call: ${name}= is not known`, 'there are: format, ignorestatus');
  }
  if (method === undefined) throw usageError(`--call names no method: ${value}`, 'such as --call=check,format=json');
  return method === 'build' ? undefined : { method, format, ignoreStatus };
}
