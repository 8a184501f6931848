import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Exit } from './fail.ts';
import { askHidden } from './hidden-prompt.ts';

function terminal() {
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    setRawMode(raw: boolean) {
      modes.push(raw);
      return input as never;
    },
  });
  let shown = '';
  const answer = askHidden('Token: ', input as never, (text) => {
    shown += text;
  });
  return { input, modes, answer, shown: () => shown };
}

describe('a hidden prompt', () => {
  it('takes a line, corrected, and shows nothing of it', async () => {
    const { input, modes, answer, shown } = terminal();
    input.write('wrong\u0015kilnx\u007F_');
    input.write('abc\rrest');
    expect(await answer).toBe('kiln_abc');
    expect(shown()).toBe('Token: \n');
    expect(modes).toEqual([true, false]);
  });

  it.each(['\u0003', '\u0004'])('ends on %j with the terminal as it was', async (key) => {
    const { input, modes, answer } = terminal();
    input.write(`secret${key}`);
    await expect(answer).rejects.toBeInstanceOf(Exit);
    expect(modes).toEqual([true, false]);
  });
});
