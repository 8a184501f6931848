import { Attributes, csvFields, nearest, readBoolean } from '#std';
import type { z } from 'zod';
import { type Attestations, DEFAULT_GENERATOR } from './attestations.ts';
import { ImageName } from './named-context.ts';

/** As docker buildx spells them: the two short ways are of one kind each, and the last word on it counts. */
export interface AttestValues {
  readonly attest?: readonly string[] | undefined;
  readonly provenance?: string | undefined;
  readonly sbom?: string | undefined;
}

/** The same, as a request has it. */
export type AttestationsInput = z.input<typeof Attestations>;

const kinds = ['provenance', 'sbom'] as const;

/** `true` and `generator=IMAGE` as `--attest` has them. */
export function attestText(kind: (typeof kinds)[number], value: string): string {
  const word = readBoolean(value);
  if (word === undefined) return `type=${kind},${value}`;
  return word ? `type=${kind}` : `type=${kind},disabled=true`;
}

/**
 * @param label what a person calls a value: a flag, a parameter
 * @throws KilnError INVALID_ARGUMENT naming it, and the attribute
 */
export function readAttestValues(values: AttestValues, label: (name: string) => string): AttestationsInput {
  const { attest = [], provenance, sbom } = values;
  let read: AttestationsInput = {};
  for (const value of attest) read = { ...read, ...readOne(label('attest'), value) };
  for (const [kind, value] of [['provenance', provenance] as const, ['sbom', sbom] as const])
    if (value !== undefined) read = { ...read, ...readOne(label(kind), attestText(kind, value)) };
  return read;
}

function readOne(label: string, value: string): AttestationsInput {
  const given = new Attributes(label, csvFields(value));
  const type = given.take('type') ?? '';
  const disabled = given.takeBoolean('disabled') ?? false;
  switch (type) {
    case 'provenance':
      return { provenance: provenanceOf(given, disabled) };
    case 'sbom':
      return { sbom: sbomOf(given, disabled) };
    case '':
      throw given.wrong('needs a type', 'such as type=provenance,mode=max or type=sbom');
    default: {
      const meant = nearest(type, kinds);
      throw given.wrong(
        `has no type ${type}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
        `there are: ${kinds.join(', ')}`,
      );
    }
  }
}

function provenanceOf(given: Attributes, disabled: boolean): AttestationsInput['provenance'] {
  const mode = given.take('mode') ?? 'max';
  const version = given.take('version') ?? 'v1';
  const builderId = given.take('builder-id') ?? '';
  const reproducible = given.takeBoolean('reproducible') ?? false;
  const inlineOnly = given.takeBoolean('inline-only') ?? false;
  const filename = given.take('filename') ?? '';
  given.finish();
  if (disabled || mode === 'disabled') return undefined;
  if (mode !== 'min' && mode !== 'max') throw given.wrong(`has no mode=${mode}`, 'there are: min, max');
  if (version !== 'v1' && version !== 'v0.2') throw given.wrong(`has no version=${version}`, 'there are: v1, v0.2');
  if (['.', '..'].includes(filename) || filename.includes('/'))
    throw given.wrong(`filename=${filename} is not a plain file name`, 'such as filename=provenance.json');
  return {
    ...{ mode, version, reproducible, inlineOnly },
    ...(builderId === '' ? {} : { builderId }),
    ...(filename === '' ? {} : { filename }),
  };
}

/** Whatever is not for the farm is for the generator. */
function sbomOf(given: Attributes, disabled: boolean): AttestationsInput['sbom'] {
  const generator = given.take('generator') ?? '';
  if (disabled) return undefined;
  const others = given.takeAll(/^.+$/).map(([[name], value]) => [name.toUpperCase(), value] as const);
  const unfit = others.find(([name]) => !/^\w+$/.test(name));
  if (unfit !== undefined) throw given.wrong(`${unfit[0]} is not a name that a generator can be given`);
  const why = generator === '' ? undefined : ImageName.safeParse(generator).error?.issues[0]?.message;
  if (why !== undefined) throw given.wrong(`generator: ${why}`, `such as generator=${DEFAULT_GENERATOR}`);
  return { ...(generator === '' ? {} : { generator }), parameters: Object.fromEntries(others) };
}
