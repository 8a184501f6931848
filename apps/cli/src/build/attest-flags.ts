import { type Attestations, DEFAULT_GENERATOR, ImageName } from '#protocol';
import { nearest } from '#std';
import type { z } from 'zod';
import { usageError } from '../usage.ts';
import { Attributes, csvFields } from './attributes.ts';
import type { Outputs } from './outputs.ts';

/** As docker buildx has them: the two short ways are of one kind each, and the last word on it counts. */
export interface AttestFlags {
  readonly attest?: readonly string[];
  readonly provenance?: string;
  readonly sbom?: string;
}

export type AttestOptions = z.input<typeof Attestations>;

const kinds = ['provenance', 'sbom'] as const;
const yes = ['true', '1', 't'];
const no = ['false', '0', 'f'];

/** `--provenance=true` and `--sbom=generator=IMAGE` as `--attest` has them. */
export function attestText(kind: (typeof kinds)[number], value: string): string {
  const word = value.toLowerCase();
  if (yes.includes(word)) return `type=${kind}`;
  return no.includes(word) ? `type=${kind},disabled=true` : `type=${kind},${value}`;
}

/** @throws KilnError INVALID_ARGUMENT naming the flag and the attribute */
export function readAttestFlags({ attest = [], provenance, sbom }: AttestFlags): AttestOptions {
  let options: AttestOptions = {};
  for (const value of attest) options = { ...options, ...readAttest('--attest', value) };
  if (provenance !== undefined)
    options = { ...options, ...readAttest('--provenance', attestText('provenance', provenance)) };
  if (sbom !== undefined) options = { ...options, ...readAttest('--sbom', attestText('sbom', sbom)) };
  return options;
}

/** @throws KilnError INVALID_ARGUMENT where an output has no place for them */
export function checkAttested({ provenance, sbom }: AttestOptions, { requests }: Outputs): void {
  if (provenance === undefined && sbom === undefined) return;
  for (const output of requests) {
    if ('ociMediaTypes' in output && output.ociMediaTypes === false)
      throw usageError('--output: attestations go with OCI media types alone', 'leave oci-mediatypes=false out');
    if (output.type === 'docker' && (sbom !== undefined || provenance?.inlineOnly !== true))
      throw usageError(
        'an archive for docker load has no attestations',
        'use --push or --output type=oci; --provenance=inline-only=true goes without one in such an archive',
      );
  }
}

function readAttest(flag: string, value: string): AttestOptions {
  const attributes = new Attributes(flag, csvFields(value));
  const type = attributes.take('type') ?? '';
  const disabled = attributes.takeBoolean('disabled') === true;
  switch (type) {
    case 'provenance':
      return { provenance: provenanceOf(flag, attributes, disabled) };
    case 'sbom':
      return { sbom: sbomOf(flag, attributes, disabled) };
    case '':
      throw usageError(`${flag} needs a type`, 'such as --attest type=provenance,mode=max or --attest type=sbom');
    default: {
      const meant = nearest(type, kinds);
      throw usageError(
        `${flag} type=${type} is not known${meant === undefined ? '' : `; did you mean ${meant}?`}`,
        `there are: ${kinds.join(', ')}`,
      );
    }
  }
}

function provenanceOf(flag: string, attributes: Attributes, disabled: boolean): AttestOptions['provenance'] {
  const mode = attributes.take('mode') ?? 'max';
  const version = attributes.take('version') ?? 'v1';
  const builderId = attributes.take('builder-id') ?? '';
  const reproducible = attributes.takeBoolean('reproducible') ?? false;
  const inlineOnly = attributes.takeBoolean('inline-only') ?? false;
  const filename = attributes.take('filename') ?? '';
  attributes.finish();
  if (disabled || mode === 'disabled') return undefined;
  if (mode !== 'min' && mode !== 'max') throw usageError(`${flag}: mode=${mode} is not known`, 'there are: min, max');
  if (version !== 'v1' && version !== 'v0.2')
    throw usageError(`${flag}: version=${version} is not known`, 'there are: v1, v0.2');
  if (['.', '..'].includes(filename) || filename.includes('/'))
    throw usageError(`${flag}: filename=${filename} is not a plain file name`, 'such as filename=provenance.json');
  return {
    ...{ mode, version, reproducible, inlineOnly },
    ...(builderId === '' ? {} : { builderId }),
    ...(filename === '' ? {} : { filename }),
  };
}

function sbomOf(flag: string, attributes: Attributes, disabled: boolean): AttestOptions['sbom'] {
  const generator = attributes.take('generator') ?? '';
  const given = attributes.takeAll(/^.+$/).map(([[name], value]) => [name.toUpperCase(), value] as const);
  if (disabled) return undefined;
  const wrong = given.find(([name]) => !/^\w+$/.test(name));
  if (wrong !== undefined) throw usageError(`${flag}: ${wrong[0]} is not a name that a generator can be given`);
  const why = generator === '' ? undefined : ImageName.safeParse(generator).error?.issues[0]?.message;
  if (why !== undefined) throw usageError(`${flag}: generator: ${why}`, `such as generator=${DEFAULT_GENERATOR}`);
  return { ...(generator === '' ? {} : { generator }), parameters: Object.fromEntries(given) };
}
