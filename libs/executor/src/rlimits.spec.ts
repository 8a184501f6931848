import { expect, test } from 'vitest';
import { rlimits, ulimitNames } from './rlimits.ts';

const own = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max core file size        0                    unlimited            bytes
Max open files            1024                 20000                files
`;
const unlimited = 2n ** 64n - 1n;

test('no core files unless they are asked for', () => {
  expect(rlimits([], own)).toEqual([{ type: 'RLIMIT_CORE', soft: 0n, hard: 0n }]);
  expect(rlimits([{ name: 'core', soft: -1, hard: -1 }], own)).toEqual([
    { type: 'RLIMIT_CORE', soft: unlimited, hard: unlimited },
  ]);
});

test('nothing goes above what the node gives', () => {
  const asked = [
    { name: 'nofile', soft: 512, hard: -1 },
    { name: 'cpu', soft: 10, hard: 20 },
  ];
  expect(rlimits(asked, own).slice(1)).toEqual([
    { type: 'RLIMIT_NOFILE', soft: 512n, hard: 20_000n },
    { type: 'RLIMIT_CPU', soft: 10n, hard: 20n },
  ]);
});

test('every name is one of this kernel', () => {
  for (const name of ulimitNames) expect(rlimits([{ name, soft: 0, hard: 0 }])).toHaveLength(name === 'core' ? 1 : 2);
});
