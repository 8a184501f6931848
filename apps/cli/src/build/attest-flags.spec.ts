import { describe, expect, it } from 'vitest';
import { type AttestFlags, checkAttested, readAttestFlags } from './attest-flags.ts';

const provenance = { mode: 'max', version: 'v1', reproducible: false, inlineOnly: false };

describe('attestations', () => {
  it.each<[AttestFlags, object]>([
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
    expect(readAttestFlags(flags)).toEqual(expected);
  });

  it('take the last word on each kind', () => {
    const attest = ['type=provenance,mode=min', 'type=sbom', 'type=provenance,mode=max'];
    expect(readAttestFlags({ attest, sbom: 'false' })).toEqual({ provenance });
  });

  it.each<[AttestFlags, string]>([
    [{ attest: ['mode=max'] }, '--attest needs a type'],
    [{ attest: ['type=provenence'] }, 'did you mean provenance?'],
    [{ provenance: 'max' }, '--provenance: not key=value: "max"'],
    [{ provenance: 'mode=full' }, 'mode=full is not known'],
    [{ provenance: 'mdoe=max' }, 'did you mean mode?'],
    [{ provenance: 'version=v2' }, 'version=v2 is not known'],
    [{ provenance: 'filename=../x' }, 'is not a plain file name'],
    [{ sbom: 'generator=acme/APP' }, '--sbom: generator: '],
    [{ sbom: 'a-b=1' }, 'is not a name'],
  ])('are refused by name: %j', (flags, message) => {
    expect(() => readAttestFlags(flags)).toThrow(message);
  });

  it('go where an output has a place for them', () => {
    const refused = (flags: AttestFlags, output: Parameters<typeof checkAttested>[1]['requests'][number]) => () =>
      checkAttested(readAttestFlags(flags), { requests: [output], destinations: [] });
    expect(refused({ sbom: 'true' }, { type: 'docker' })).toThrow('docker load');
    expect(refused({ provenance: 'true' }, { type: 'docker' })).toThrow('docker load');
    expect(refused({ provenance: 'inline-only=true' }, { type: 'docker' })).not.toThrow();
    expect(refused({ provenance: 'true' }, { type: 'oci', ociMediaTypes: false })).toThrow('OCI media types');
    expect(refused({ provenance: 'false' }, { type: 'docker' })).not.toThrow();
  });
});
