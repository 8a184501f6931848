import { readAttestValues } from '#protocol';
import { expect, it } from 'vitest';
import { checkAttested } from './attested.ts';
import { parseOutputs } from './outputs.ts';

const check = (provenance: string, output: string) => () =>
  checkAttested(
    readAttestValues({ provenance }, (name) => name),
    parseOutputs({ output: [output], push: false, load: false }),
  );

it('attestations go where an output has a place for them', () => {
  expect(check('true', 'type=docker')).toThrow('docker load');
  expect(check('inline-only=true', 'type=docker')).not.toThrow();
  expect(check('false', 'type=docker')).not.toThrow();
  expect(check('true', 'type=oci,oci-mediatypes=false')).toThrow('OCI media types');
  expect(check('true', 'type=image')).not.toThrow();
});
