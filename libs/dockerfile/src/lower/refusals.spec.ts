import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isKilnError, KilnError } from '#std';
import { parseDockerfile } from '../parse/parse-dockerfile.ts';
import { lowerDockerfile } from './lower-dockerfile.ts';
import { FakeRegistry, lower, plainOptions } from './lowered.fixture.ts';

describe('refusals name the line', () => {
  test.each([
    ['FROM $NONE', 1, 'base name ($NONE) should not be blank'],
    ['FROM UPPER', 1, 'failed to parse stage name "UPPER"'],
    ['FROM --platform=lin_ux/a/b/c x', 1, 'failed to parse platform'],
    ['FROM a AS x\nCOPY --from=7 a b', 2, 'invalid stage index 7'],
    ['FROM a AS x\nCOPY --from=x a b', 2, 'circular dependency detected on stage: x'],
    ['FROM a AS x\nCOPY --from=y a b\nFROM x AS y\nRUN z', 2, 'circular dependency detected on stage: x'],
    [
      'FROM b AS y\nCOPY --from=z a b\nFROM a AS z\nFROM y',
      2,
      'cannot copy from stage "z", it needs to be defined before current stage "y"',
    ],
    ['FROM a\nCOPY --from=$x a b', 2, 'variable expansion is not supported for --from'],
    ['FROM a\nCOPY a b c', 2, 'When using COPY with more than one source file'],
    ['FROM a\nCOPY --chmod=999 a c', 2, "invalid chmod parameter: '999'"],
    ['FROM a\nCOPY --chmod=u+q a c', 2, "invalid chmod parameter: 'u+q'"],
    ['FROM a\nCOPY --chmod=10000 a c', 2, "invalid chmod parameter: '10000'"],
    ['FROM a\nCOPY --link --chown=web a c', 2, '--chown=web with --link: only the copied files are there'],
    ['FROM a\nADD --checksum=sha256:1 a c', 2, 'checksum requires HTTP(S) or Git sources'],
    ['FROM a\nCOPY https://x/y /z', 2, "source can't be a URL for COPY"],
    ['FROM a\nENV x=${y', 2, "syntax error: missing '}'"],
    ['FROM a\nENV x="y', 2, 'matching double-quote'],
    ['FROM a\nRUN x\nEXPOSE eighty', 3, 'invalid containerPort: eighty'],
    ['FROM a\nEXPOSE 70000', 2, 'invalid containerPort: 70000'],
    ['FROM a\nEXPOSE 1.2.3.400:80:80', 2, 'invalid IP address: 1.2.3.400'],
    ['FROM a\nEXPOSE 80/http', 2, 'invalid proto: http'],
    ['FROM a\nSTOPSIGNAL SIGNOPE', 2, 'invalid signal: SIGNOPE'],
    ['FROM a\nVOLUME $x', 2, 'VOLUME specified can not be an empty string'],
    ['# check=error=true\nFROM a\nMAINTAINER x', 3, 'lint violation found for rules: MaintainerDeprecated'],
  ])('%j', async (text, line, message) => {
    const thrown: unknown = await lower(text).catch((reason: unknown) => reason);
    expect(thrown).toMatchObject({ code: 'DOCKERFILE_INVALID', line });
    expect((thrown as KilnError).message).toContain(message);
  });

  test('an unknown target lists the stages', async () => {
    await expect(lower('FROM a AS build\nFROM b AS run', { target: 'buidl' })).rejects.toMatchObject({
      code: 'DOCKERFILE_INVALID',
      message: 'target stage "buidl" could not be found (did you mean build?)',
      hint: 'stages are build, run',
    });
  });

  test('an image that is not there', async () => {
    await expect(lower('FROM a\nFROM missing')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', line: 2 });
  });

  test.each(['IMAGE_NOT_FOUND', 'REGISTRY_UNREACHABLE'] as const)('%s may be a mistyped stage', async (code) => {
    const registry = new FakeRegistry();
    registry.resolve = (reference) => Promise.reject(new KilnError(code, `no ${reference}`));
    const file = parseDockerfile('FROM scratch AS build\nFROM scratch\nCOPY --from=buidl / /x');
    await expect(lowerDockerfile(file, plainOptions, registry, new AbortController().signal)).rejects.toMatchObject({
      code,
      line: 3,
      message: expect.stringContaining('(did you mean build?)') as string,
    });
  });

  test('a cancelled build', async () => {
    const file = parseDockerfile('FROM a');
    const reason = new KilnError('CANCELLED', 'stop');
    const signal = AbortSignal.abort(reason);
    await expect(lowerDockerfile(file, plainOptions, new FakeRegistry(), signal)).rejects.toBe(reason);
  });
});

test('any file lowers, or is refused by name', async () => {
  const line = fc.constantFrom(
    ...[
      'FROM a',
      'FROM a AS b',
      'FROM b',
      'FROM scratch AS c',
      'FROM $X',
      'ARG X=a',
      'ARG X',
      'ENV X=$X',
      'ENV Y=${X:?}',
    ],
    ...[
      'COPY --from=b /x /',
      'COPY --from=c $X .',
      'COPY --from=0 a b',
      'ADD a b',
      'RUN $X',
      'WORKDIR $X',
      'EXPOSE $X',
      'USER $X',
    ],
    ...[
      'VOLUME $X',
      'LABEL a=${X#*}',
      'CMD a',
      'ENTRYPOINT ["a"]',
      'ONBUILD COPY --from=b a b',
      'ONBUILD RUN a',
      'STOPSIGNAL 9',
    ],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 14 }), async (lines) => {
      try {
        const { definition, history } = await lower(['FROM a AS b', ...lines].join('\n'));
        const seen = new Set<string>();
        for (const vertex of definition.vertices.values()) {
          expect(vertex.inputs.every((edge) => seen.has(edge.vertex))).toBe(true);
          seen.add(vertex.digest);
        }
        expect(definition.roots.every(({ vertex }) => seen.has(vertex))).toBe(true);
        expect(history.length).toBeLessThanOrEqual(lines.length * lines.length);
      } catch (thrown) {
        expect(isKilnError(thrown, 'DOCKERFILE_INVALID')).toBe(true);
        expect((thrown as KilnError).line).toBeGreaterThan(0);
      }
    }),
    { numRuns: 500 },
  );
});

test('a few lines cannot make a config of any size', async () => {
  await expect(lower(`FROM a\nEXPOSE ${'0-65535 '.repeat(100)}`)).rejects.toMatchObject({ line: 2 });
  await expect(lower(`FROM a\n${'EXPOSE 0-65535\n'.repeat(100)}`)).rejects.toThrow('history is larger');
});

test('the longest file that is allowed lowers', async () => {
  const lowered = await lower(`FROM a\n${'RUN x\n'.repeat(1999)}`);
  expect(lowered.definition.vertices.size).toBe(2000);
  const stages = Array.from({ length: 1000 }, (_, index) => `FROM s${index} AS s${index + 1}\nRUN x`).join('\n');
  expect((await lower(stages)).definition.vertices.size).toBe(1001);
});
