import { describe, expect, test } from 'vitest';
import type { Copy, Instruction } from './ast.ts';
import { parseDockerfile } from './parse-dockerfile.ts';

function copy(line: string): Instruction | undefined {
  return parseDockerfile(`FROM x\n${line}`).stages[0]?.instructions[0];
}

const plain = {
  link: false,
  parents: false,
  excludes: [],
  checksum: '',
  keepGitDir: undefined,
  unpack: undefined,
  chown: '',
  chmod: '',
};

describe('flags of COPY and ADD', () => {
  test.each<[string, Partial<Copy>]>([
    ['COPY a b', {}],
    ['COPY --link a b', { link: true }],
    ['COPY --link=true --parents=TRUE a b', { link: true, parents: true }],
    ['COPY --link=false --parents=False a b', {}],
    ['COPY --exclude=*.md --exclude=!README.md a b', { excludes: ['*.md', '!README.md'] }],
    ['COPY --chown=1:2 --chmod=u=rwX,go=rX a b', { chown: '1:2', chmod: 'u=rwX,go=rX' }],
    ['ADD --unpack a b', { unpack: true }],
    ['ADD --unpack=false --keep-git-dir=false a b', { unpack: false, keepGitDir: false }],
    ['ADD --checksum=sha256:1 --keep-git-dir --link a b', { checksum: 'sha256:1', keepGitDir: true, link: true }],
  ])('%s', (line, flags) => {
    expect(copy(line)).toMatchObject({ ...plain, ...flags });
  });

  test.each([
    ['COPY --link=yes a b', 'expecting boolean value for flag --link, not: yes'],
    ['COPY --link= a b', 'missing a value on flag: --link'],
    ['COPY --link --link a b', 'duplicate flag specified: --link'],
    ['COPY --exclude a b', 'missing a value on flag: --exclude'],
    ['COPY --unpack a b', 'unknown flag: --unpack'],
    ['COPY --checksum=sha256:1 a b', 'unknown flag: --checksum'],
    ['ADD --parents a b', 'unknown flag: --parents'],
    ['ADD --excludes=x a b', 'unknown flag: --excludes (did you mean --exclude?)'],
    ['ADD --from=x a b', 'unknown flag: --from'],
  ])('%s is refused', (line, message) => {
    expect(() => copy(line)).toThrow(expect.objectContaining({ code: 'DOCKERFILE_INVALID', line: 2 }));
    expect(() => copy(line)).toThrow(message);
  });
});
