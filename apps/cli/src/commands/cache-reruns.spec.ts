import { describe, expect, it } from 'vitest';
import { rerunsText } from './cache-reruns.ts';

const reruns = { project: 'web', since: '2026-01-01', more: false };
const last = {
  buildId: '2jakgbtjphytqyff17x3',
  earlierBuildId: '2jakgbtjphytqyff17x2',
  at: '2026-01-02T00:00:00.000Z',
};

describe('kiln cache reruns', () => {
  it('tells which steps gave other bytes, and in which builds', () => {
    const steps = [
      { step: '[build] RUN apt-get \u001b[31mupdate', same: 3, different: 2, last },
      { step: 'COPY . .', same: 1_200, different: 0, last: null },
    ];
    const total = { same: 1_203, different: 2, steps: 2, differing: 1 };
    expect(rerunsText({ ...reruns, total, steps, more: true })).toMatchInlineSnapshot(`
      "Steps that ran again in the project web since 2026-01-01
      1,203 of 1,205 runs gave the same bytes; 1 of 2 steps did not always.

      STEP                        SAME   OTHER  LAST OTHER            COMPARED WITH
      [build] RUN apt-get update  3      2      2jakgbtjphytqyff17x3  2jakgbtjphytqyff17x2
      COPY . .                    1,200  0
      …
      "
    `);
  });

  it('says so when nothing ran again', () => {
    const total = { same: 0, different: 0, steps: 0, differing: 0 };
    expect(rerunsText({ ...reruns, total, steps: [] })).toBe(
      'Steps that ran again in the project web since 2026-01-01: none.\n',
    );
  });
});
