import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isKilnError, type KilnError } from '#std';
import { parseDockerfile } from './parse-dockerfile.ts';

function refusal(text: string): KilnError {
  try {
    parseDockerfile(text);
  } catch (thrown) {
    if (isKilnError(thrown)) return thrown;
    throw thrown;
  }
  throw new Error(`parsed: ${text}`);
}
const last = (line: string): unknown => parseDockerfile(`FROM x\n${line}`).stages[0]?.instructions.at(-1);

describe('parseDockerfile', () => {
  test('stages, global arguments and lines', () => {
    const file = parseDockerfile('ARG V=1\nFROM --platform=linux/amd64 a:$V AS Build\nRUN x \\\n y\nFROM build\n');
    expect(file.globalArgs[0]).toMatchObject({ args: [{ name: 'V', value: '1' }], line: 1 });
    expect(file.stages.map(({ from }) => [from.base, from.name, from.platform, from.line])).toEqual([
      ['a:$V', 'build', 'linux/amd64', 2],
      ['build', undefined, undefined, 5],
    ]);
    expect(file.stages[0]?.instructions[0]).toMatchObject({ kind: 'run', text: 'RUN x  y', line: 3, endLine: 4 });
    expect(Object.isFrozen(file.stages[0]?.instructions[0])).toBe(true);
  });

  test.each([
    ['RUN ["a", "b"]', { command: { form: 'exec', args: ['a', 'b'] } }],
    ['RUN [ -f x ] && y', { command: { form: 'shell', text: '[ -f x ] && y' } }],
    ["CMD ['a']", { command: { form: 'shell', text: "['a']" } }],
    ['RUN --network=none a', { network: 'none' }],
    ['COPY --from=b --chmod=755 a "b" /c/', { sources: ['a', '"b"'], dest: '/c/', from: 'b', chmod: '755' }],
    ['COPY ["a b", "c"]', { sources: ['a b'], dest: 'c' }],
    ['COPY --link=false a b', { sources: ['a'] }],
    [
      'ENV a=1 b="2 3"',
      {
        pairs: [
          { key: 'a', value: '1' },
          { key: 'b', value: '"2 3"' },
        ],
      },
    ],
    ['ENV a b  c=d', { pairs: [{ key: 'a', value: 'b  c=d' }] }],
    [
      'ARG a b=1',
      {
        args: [
          { name: 'a', value: undefined },
          { name: 'b', value: '1' },
        ],
      },
    ],
    ['EXPOSE 80 443/tcp', { items: ['443/tcp', '80'] }],
    ['VOLUME ["/a b"]', { items: ['/a b'] }],
    [
      'HEALTHCHECK --interval=1m30s --retries=3 CMD a b',
      { healthcheck: { Test: ['CMD-SHELL', 'a b'], Interval: 90e9, Retries: 3 } },
    ],
    ['HEALTHCHECK CMD ["a"]', { healthcheck: { Test: ['CMD', 'a'] } }],
    ['HEALTHCHECK none', { healthcheck: { Test: ['NONE'] } }],
    ['onbuild copy a b', { kind: 'onbuild', argument: 'copy a b' }],
  ])('%s', (line, expected) => {
    expect(last(line)).toMatchObject(expected);
  });

  test.each([
    ['', 1, 'the Dockerfile cannot be empty'],
    ['\n# x\n', 1, 'file with no instructions'],
    ['ARG a', 1, 'dockerfile contains no stages to build'],
    ['RUN x\nFROM y', 1, 'no build stage in current context'],
    ['FROM', 1, 'FROM requires either one or three arguments'],
    ['FROM a as', 1, 'FROM requires either one or three arguments'],
    ['FROM a AS 1st', 1, 'invalid name for build stage: "1st"'],
    ['FROM x\n\nRNU y', 3, 'unknown instruction: RNU (did you mean RUN?)'],
    ['FROM x\nconstructor y', 2, 'unknown instruction: constructor'],
    ['FROM x\nCOPY --form=y a b', 2, 'unknown flag: --form (did you mean --from?)'],
    ['FROM x\nCMD --x a', 2, 'unknown flag: --x'],
    ['FROM x\nCOPY --chown a b', 2, 'missing a value on flag: --chown'],
    ['FROM x\nCOPY --from=a --from=b a b', 2, 'duplicate flag specified: --from'],
    ['FROM x\nCOPY a', 2, 'COPY requires at least two arguments'],
    ['FROM x\nRUN', 2, 'RUN requires at least one argument'],
    ['FROM x\nRUN []', 2, 'RUN requires at least one argument'],
    ['FROM x\nRUN ["a", 1]', 2, 'arrays must be comprised of strings only'],
    ['FROM x\nRUN --network=x a', 2, 'invalid network mode "x"'],
    ['FROM x\nENV', 2, 'ENV requires at least one argument'],
    ['FROM x\nENV a', 2, 'ENV must have two arguments'],
    ['FROM x\nENV a=1 b', 2, `can't find = in "b"`],
    ['FROM x\nENV =1', 2, 'ENV names can not be blank'],
    ['FROM x\nUSER', 2, 'USER requires exactly one argument'],
    ['FROM x\nSHELL bash', 2, 'SHELL requires the arguments to be in JSON form'],
    ['FROM x\nVOLUME [""]', 2, 'VOLUME specified can not be an empty string'],
    ['FROM x\nHEALTHCHECK --interval=soon CMD a', 2, 'time: invalid duration "soon"'],
    ['FROM x\nHEALTHCHECK CMD', 2, 'Missing command after HEALTHCHECK CMD'],
    ['FROM x\nHEALTHCHECK PING', 2, 'Unknown type "PING" in HEALTHCHECK'],
    ['FROM x\nONBUILD FROM y', 2, "FROM isn't allowed as an ONBUILD trigger"],
    ['FROM x\nONBUILD ONBUILD RUN y', 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ['FROM x\nONBUILD RNU y', 2, 'unknown instruction: RNU'],
    ['# check=skip\nFROM x', 1, 'invalid check option'],
  ])('%j is invalid at line %s: %s', (text, line, message) => {
    const thrown = refusal(text);
    expect([thrown.code, thrown.line]).toEqual(['DOCKERFILE_INVALID', line]);
    expect(thrown.message).toContain(message);
  });

  test('the standard front end is accepted, others are refused', () => {
    for (const image of [
      'docker/dockerfile:1',
      'docker/dockerfile:1.7-labs',
      'docker.io/docker/dockerfile:1.4',
      'docker/dockerfile-upstream:master',
      'docker/dockerfile:labs',
    ]) {
      expect(parseDockerfile(`# syntax=${image}\nFROM x`).stages).toHaveLength(1);
    }
    const thrown = refusal('# syntax=acme/frontend:2\nFROM x');
    expect([thrown.code, thrown.line]).toEqual(['DOCKERFILE_UNSUPPORTED', 1]);
    expect(thrown.message).toContain('acme/frontend:2');
  });

  test('any text parses, or is refused with a line of the file', () => {
    const word = fc.constantFrom(
      ...['FROM', 'RUN', 'COPY', 'ENV', 'ARG', 'ONBUILD', 'HEALTHCHECK', 'CMD', 'EXPOSE', 'a', '--from=b', '$X', '${'],
      ...['"', "'", '\\', '\n', '\r\n', '# ', '<<E', '[', '"a"', ']', '=', 'AS', '# escape=`\n', '\uFEFF', '\0'],
    );
    const text = fc
      .array(fc.oneof(word, fc.string({ maxLength: 3 })), { maxLength: 20 })
      .map((words) => words.join(' '));
    fc.assert(
      fc.property(text, (source) => {
        try {
          parseDockerfile(source);
        } catch (thrown) {
          expect(isKilnError(thrown, 'DOCKERFILE_INVALID', 'DOCKERFILE_UNSUPPORTED')).toBe(true);
          const { line = 1 } = thrown as KilnError;
          expect(line).toBeGreaterThan(0);
          expect(line).toBeLessThanOrEqual(source.split('\n').length);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('a file of endlessly many instructions is refused', () => {
    expect(refusal(`FROM x\n${'RUN y\n'.repeat(3000)}`).code).toBe('DOCKERFILE_UNSUPPORTED');
  });
});
