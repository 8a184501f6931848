import { expect, it } from 'vitest';
import { operationName } from './operation-name.ts';

it.each([
  [{ op: { kind: 'exec', args: ['/bin/sh', '-c', 'make\n  all'] } }, 'RUN make all'],
  [{ op: { kind: 'exec', args: ['node', 'a.js'] } }, 'RUN node a.js'],
  [{ op: { kind: 'copy', dest: '/app', from: [] } }, 'COPY … /app'],
  [{ op: { kind: 'mkdir', path: '/srv' } }, 'WORKDIR /srv'],
  [{ op: { kind: 'later' } }, 'later'],
  [{}, 'unknown'],
  [null, 'unknown'],
])('the step of %j', (preimage, name) => {
  expect(operationName(preimage)).toBe(name);
});
