import { describe, expect, it } from 'vitest';
import { digestOf } from '#oci';
import type { DearMiss } from '#protocol';
import { dearMissesText } from './cache-misses.ts';

const miss: DearMiss = {
  ...{ step: '[build] RUN npm ci', dockerfile: 'web/Dockerfile', cause: 'files' },
  ...{ misses: 41, followed: 41, spentMs: 14_760_000 },
  last: {
    buildId: '2jakgbtjphytqyff17x3',
    because: { vertex: digestOf('c'), name: '[build 3/6] COPY . .', line: 3 },
    isBelow: true,
    why: 'src/a.js changed',
    hints: [
      {
        text: 'copy package.json and package-lock.json before RUN npm ci, and the rest (COPY . .) after it',
        snippet: { file: 'Dockerfile', lines: ['COPY package.json package-lock.json ./', 'RUN npm ci', 'COPY . .'] },
      },
    ],
  },
};

describe('kiln cache misses', () => {
  it('tells what cost most, why, and what to do', () => {
    const own = { ...miss, step: 'RUN \u001b[31mmake', misses: 1, last: null };
    expect(dearMissesText({ project: 'web', since: '2026-01-01', misses: [miss, own] })).toMatchInlineSnapshot(`
      "What steps that ran cost in the project web since 2026-01-01

       4h 6m  [build] RUN npm ci  (web/Dockerfile, 41 times)
             COPY . . above it: src/a.js changed  (build 2jakgbtjphytqyff17x3)
       hint  copy package.json and package-lock.json before RUN npm ci, and the rest (COPY . .) after it
             COPY package.json package-lock.json ./
             RUN npm ci
             COPY . .

       4h 6m  RUN make  (web/Dockerfile, once)
      "
    `);
  });

  it('says so when nothing ran', () => {
    expect(dearMissesText({ project: 'web', since: '2026-01-01', misses: [] })).toBe(
      'What steps that ran cost in the project web since 2026-01-01: nothing.\n',
    );
  });
});
