import { describe, expect, it } from 'vitest';
import { type AttestValues, readAttestValues } from './attest-values.ts';

const read = (values: AttestValues) => readAttestValues(values, (name) => `--${name}`);

const provenance = { mode: 'max', version: 'v1', reproducible: false, inlineOnly: false };

describe('attestations', () => {
  it.each<[AttestValues, object]>([
    [{}, {}],
    [{ provenance: 'true' }, { provenance }],
    [{ provenance: 'mode=min' }, { provenance: { ...provenance, mode: 'min' } }],
    [{ provenance: 'false' }, {}],
    [{ provenance: 'mode=disabled' }, {}],
    [{ sbom: '1' }, { sbom: { parameters: {} } }],
    [{ sbom: 'generator=acme/scan:2' }, { sbom: { generator: 'acme/scan:2', parameters: {} } }],
    [{ attest: ['type=sbom,depth=3'] }, { sbom: { parameters: { DEPTH: '3' } } }],
    [
      { attest: ['type=provenance,version=v0.2,builder-id=https://ci.example/1,reproducible=true,filename=p.json'] },
      {
        provenance: {
          ...provenance,
          ...{ version: 'v0.2', builderId: 'https://ci.example/1', reproducible: true, filename: 'p.json' },
        },
      },
    ],
  ])('are read from %j as docker buildx reads them', (flags, expected) => {
    expect(read(flags)).toEqual(expected);
  });

  it('take the last word on each kind', () => {
    const attest = ['type=provenance,mode=min', 'type=sbom', 'type=provenance,mode=max'];
    expect(read({ attest, sbom: 'false' })).toEqual({ provenance });
  });

  it.each<[AttestValues, string]>([
    [{ attest: ['mode=max'] }, '--attest: needs a type'],
    [{ attest: ['type=provenence'] }, 'did you mean provenance?'],
    [{ provenance: 'max' }, '--provenance: not key=value: "max"'],
    [{ provenance: 'mode=full' }, '--provenance: has no mode=full'],
    [{ provenance: 'mdoe=max' }, 'did you mean mode?'],
    [{ provenance: 'version=v2' }, 'has no version=v2'],
    [{ provenance: 'filename=../x' }, 'is not a plain file name'],
    [{ sbom: 'generator=acme/APP' }, '--sbom: generator: '],
    [{ sbom: 'a-b=1' }, 'is not a name'],
  ])('are refused by name: %j', (flags, message) => {
    expect(() => read(flags)).toThrow(message);
  });
});
