import { describe, expect, it } from 'vitest';
import { createProgram } from '../program.ts';
import { withOwnWords } from './own-words.ts';

const read = (line: string): string => withOwnWords(createProgram(), line.split(' ')).join(' ');

describe('kiln run', () => {
  it.each([
    ['run app', 'run -- app'],
    ['run app cmd -x --rm=maybe -v', 'run -- app cmd -x --rm=maybe -v'],
    ['run -e A=b --rm app -e x', 'run -e A=b --rm -- app -e x'],
    ['run -eA=b --env=A app x', 'run -eA=b --env=A -- app x'],
    ['run -qe A app', 'run -qe A -- app'],
    ['run -e -v app', 'run -e -v -- app'],
    ['--context run run --data d app run', '--context run run --data d -- app run'],
    ['run --context c app', 'run --context c -- app'],
    ['run -q -- app -x', 'run -q -- app -x'],
    ['run --help', 'run --help'],
    ['build run -v', 'build run -v'],
  ])('leaves the flags behind an image to its command: %s', (line, expected) => {
    expect(read(line)).toBe(expected);
  });

  it.each([
    ['run -it app', '-i is nothing that kiln run can do'],
    ['run --rm -v /a:/b app', '-v is nothing'],
    ['run --volume=/a:/b app', '--volume is nothing'],
    ['run -d app', '-d is nothing'],
    ['run -p80:80 app', '-p is nothing'],
    ['run --mount type=bind app', '--mount is nothing'],
    ['run --privileged app', '--privileged is nothing'],
  ])('refuses what a farm cannot do, and says what can: %s', (line, message) => {
    expect(() => read(line)).toThrow(message);
    expect(() => read(line)).toThrow(expect.objectContaining({ hint: expect.stringMatching(/\w/) as string }));
  });
});
