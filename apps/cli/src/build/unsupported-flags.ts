import { usageError } from '../usage.ts';

/** Flags of `docker buildx build` that are not here yet. They are refused by name, never ignored. */
export const unsupportedFlags: readonly string[] = [
  '--attest <value>',
  '--builder <value>',
  '--cache-from <value>',
  '--cache-to <value>',
  '--debug',
  '--policy <value>',
  '--provenance <value>',
  '--sbom <value>',
  '--security-opt <value>',
  '--squash',
];

/** They ask for what is done anyway when they are switched off. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  provenance: ['false', 'mode=disabled', 'disabled=true'],
  sbom: ['false', 'disabled=true'],
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

const hints: Readonly<Record<string, string>> = {
  'cache-from': 'not needed: every build of the farm reads one cache',
  'cache-to': 'not needed: every build of the farm writes one cache',
};
