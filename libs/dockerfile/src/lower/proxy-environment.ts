import type { ExecOp } from '#graph';
import type { Environment } from './environment.ts';
import type { LowerOptions } from './lower-options.ts';

/** https://docs.docker.com/reference/dockerfile/#predefined-args */
const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];

export function isProxy(name: string): boolean {
  return proxies.includes(name.toUpperCase());
}

/**
 * Build arguments that RUN sees undeclared, in either case. What an ARG or ENV declares is in the environment already, and
 * in the keys.
 */
export function proxyEnvironment(buildArgs: LowerOptions['buildArgs'], env: Environment): Pick<ExecOp, 'proxyEnv'> {
  const given = new Map<string, string>();
  for (const name of Object.keys(buildArgs).filter(isProxy).sort())
    given.set(name.toUpperCase(), buildArgs[name] ?? '');
  const proxyEnv = proxies.flatMap((name) => {
    const value = given.get(name) ?? '';
    if (value === '') return [];
    return [name, name.toLowerCase()].filter((each) => env.get(each) === undefined).map((each) => `${each}=${value}`);
  });
  return proxyEnv.length === 0 ? {} : { proxyEnv };
}
