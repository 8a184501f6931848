import { describe, expect, it } from 'vitest';
import { copyMode } from './copy-mode.ts';

describe('copyMode', () => {
  const all = (chmod: number | string | undefined): readonly string[] => {
    const mode = copyMode(chmod);
    const bits = [mode.of({ type: 'file', mode: 0o640 }), mode.of({ type: 'dir', mode: 0o4700 }), mode.made];
    return bits.map((each) => each.toString(8));
  };

  it.each([
    [undefined, ['640', '4700', '755']],
    [0o711, ['711', '711', '711']],
    // Directories that are made on the way have no set-id bits, as in BuildKit.
    [0o4750, ['4750', '4750', '750']],
    ['go=rX', ['644', '4755', '755']],
  ])('%s', (chmod, bits) => {
    expect(all(chmod)).toEqual(bits);
  });
});
