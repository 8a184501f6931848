import { digestOf } from '#oci';
import { describe, expect, it } from 'vitest';
import { lower, vertices } from './lowered.fixture.ts';
import { stepComments } from './step-comments.ts';

const HOUR_MS = 3_600_000;

describe('comments above a RUN', () => {
  it.each([
    ['24h', 24 * HOUR_MS],
    ['7d', 168 * HOUR_MS],
    ['1d12h', 36 * HOUR_MS],
    ['90m', 1.5 * HOUR_MS],
    ['250ms', 250],
  ])('kiln:ttl=%s', (text, ttlMs) => {
    expect(stepComments(['why', `kiln:ttl=${text}`])).toEqual({ ttlMs, keyedSecrets: false });
  });

  it.each(['kiln:ttl=soon', 'kiln:ttl=', 'kiln:ttl=0', 'kiln:ttl=-1h', 'kiln:ttl=d', 'kiln:ttl', 'kiln:live=1h'])(
    '%s is refused with what can be written',
    async (comment) => {
      await expect(lower(`FROM a\n# ${comment}\nRUN x`)).rejects.toMatchObject({
        code: 'DOCKERFILE_INVALID',
        line: 3,
      });
    },
  );

  it('that only speak of a kiln are for people', () => {
    expect(stepComments(['kiln: fire it twice', 'a kiln:ttl=1h'])).toEqual({ ttlMs: undefined, keyedSecrets: false });
  });

  it('are refused where they mean nothing', async () => {
    await expect(lower('FROM a\n# kiln:ttl=1h\nENV A=1')).rejects.toThrow('# kiln:ttl=1h stands above ENV');
  });

  it('do not change what the step is', async () => {
    const step = async (text: string) => vertices(await lower(text)).find(({ op }) => op.kind === 'exec');
    const [plain, kept] = [await step('FROM a\nRUN x'), await step('FROM a\n# kiln:ttl=1h\nRUN x')];
    expect(kept?.digest).toBe(plain?.digest);
    expect([plain?.label.ttlMs, kept?.label.ttlMs]).toEqual([undefined, HOUR_MS]);
  });
});

describe('secrets whose values count', () => {
  const given = (value: string) => ({ secretDigest: (id: string) => (id === 'none' ? undefined : digestOf(value)) });
  const mountsOf = async (text: string, options: Parameters<typeof lower>[1]): Promise<unknown> => {
    const step = vertices(await lower(text, options)).find(({ op }) => op.kind === 'exec');
    return step?.op.kind === 'exec' ? step.op.mounts : undefined;
  };
  const run = 'RUN --mount=type=secret,id=a --mount=type=secret,id=none x';

  it('by a comment: all of the step', async () => {
    expect(await mountsOf(`FROM a\n# kiln:secrets=keyed\n${run}`, given('v'))).toEqual([
      expect.objectContaining({ id: 'a', keyed: digestOf('v') }) as unknown,
      expect.not.objectContaining({ keyed: digestOf('v') }) as unknown,
    ]);
  });

  it('by the option: those that are named; by default none', async () => {
    expect(await mountsOf(`FROM a\n${run}`, { ...given('v'), keyedSecrets: ['a'] })).toMatchObject([
      { keyed: digestOf('v') },
      {},
    ]);
    for (const mount of [await mountsOf(`FROM a\n${run}`, given('v'))].flat())
      expect(mount).not.toHaveProperty('keyed');
  });
});
