import { describe, expect, it } from 'vitest';
import { partsOf } from './step-name.ts';

describe('a vertex’ name in parts', () => {
  it.each([
    ['[2/5] RUN make', '2/5', '2', 'RUN make'],
    ['[build  2/15] RUN  make', 'build 2/15', 'build:2', 'RUN make'],
    ['[linux/arm64 2/2] RUN x', 'linux/arm64 2/2', 'linux/arm64:2', 'RUN x'],
    [
      '[linux/amd64->arm64 build 1/3] COPY . .',
      'linux/amd64->arm64 build 1/3',
      'linux/amd64->arm64:build:1',
      'COPY . .',
    ],
  ])('%s', (name, place, step, text) => {
    expect(partsOf(name)).toEqual({ place, step, text });
  });

  it('has no place where it is no step', () => {
    expect(partsOf('docker.io/library/a:1')).toEqual({ place: '', text: 'docker.io/library/a:1' });
  });
});
