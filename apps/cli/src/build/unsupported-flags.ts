import { usageError } from '../usage.ts';

/** Flags of `docker buildx build` that are not here yet. They are refused by name, never ignored. */
export const unsupportedFlags: readonly string[] = [
  '--builder <value>',
  '--compress',
  '--cpu-period <value>',
  '--cpu-quota <value>',
  '-c, --cpu-shares <value>',
  '--cpuset-cpus <value>',
  '--cpuset-mems <value>',
  '-D, --debug',
  '--isolation <value>',
  '--memory-swap <value>',
  '--policy <value>',
  '--security-opt <value>',
  '--squash',
];

/** Docker's older flags for what a farm never keeps: containers of steps. With BuildKit they mean nothing either. */
export const idleFlags: readonly string[] = ['--rm', '--force-rm'];

/** They ask for what is done anyway when they are switched off. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  isolation: ['default'],
};

const longName = (flags: string): string => /--([a-z-]+)/.exec(flags)?.[1] ?? flags;
const camel = (name: string): string => name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** @throws KilnError INVALID_ARGUMENT naming the first flag that was given and is not supported */
export function refuseUnsupported(given: Readonly<Record<string, unknown>>): void {
  for (const flags of unsupportedFlags) {
    const name = longName(flags);
    const value = given[camel(name)];
    if (value === undefined || value === false) continue;
    if (typeof value === 'string' && harmless[name]?.includes(value) === true) continue;
    throw usageError(`--${name} is not supported yet`, hints[name]);
  }
}

const CPUS = '--cpus limits the processors of RUN steps';

const hints: Readonly<Record<string, string>> = {
  builder: 'KILN_URL names the farm; without it the one of this machine builds',
  compress: 'not needed: only what is new in the context is sent',
  'cpu-period': CPUS,
  'cpu-quota': CPUS,
  'cpu-shares': CPUS,
  'cpuset-cpus': CPUS,
  debug: '--progress=plain shows all that steps print',
  isolation: 'every step has a sandbox of its own; leave it out',
  'memory-swap': '--memory limits the memory of RUN steps',
  squash: 'a last stage FROM scratch with COPY --from=STAGE / / has one layer',
};
