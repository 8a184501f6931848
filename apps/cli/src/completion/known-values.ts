import { BuildFilter, BuildState, Entitlement, Permission, Priority, StepOutcome } from '#protocol';
import { progressModes } from '../progress/progress-modes.ts';

/** What flags take, where the program itself does not list it; a value that ends with `=` goes on. */
export const knownValues: Readonly<Record<string, readonly string[]>> = {
  '--progress': progressModes,
  '--network': ['default', 'none', 'host'],
  '--priority': Priority.options,
  '--permission': Permission.options,
  '--allow': Entitlement.options,
  '--platform': ['linux/amd64', 'linux/arm64', 'linux/arm/v7', 'linux/386', 'linux/ppc64le', 'linux/s390x', 'local'],
  '--call': ['build', 'check', 'outline', 'targets'],
  '--output': ['image', 'registry', 'oci', 'docker', 'tar', 'local', 'cacheonly'].map((type) => `type=${type}`),
  '--cache-from': ['type=registry,ref=', 'type=local,src='],
  '--cache-to': ['type=registry,ref=', 'type=local,dest=', 'type=inline'],
  '--ssh': ['default'],
};

/** Those that mean something else in one command. */
export const knownValuesOf: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  builds: {
    '--filter': Object.keys(BuildFilter.shape).flatMap((key) => {
      if (key === 'state') return BuildState.options.map((state) => `state=${state}`);
      return key === 'outcome' ? StepOutcome.options.map((outcome) => `outcome=${outcome}`) : [`${key}=`];
    }),
  },
  'cache prune': { '--filter': ['until='] },
};
