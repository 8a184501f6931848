import { Choices } from '../differential/choices.ts';
import { type Program, programOf } from '../differential/program.ts';

/** What a program is made of, and what is done to it. */
export interface EditedProgram {
  readonly before: Program;
  readonly after: Program;
  /** for people */
  readonly edit: string;
}

type Numbers = readonly (readonly number[])[];

/** Chooses a program and one change of it, such as people make between two builds. */
export async function editedProgram(numbers: Numbers, edit: readonly number[]): Promise<EditedProgram> {
  const before = await programOf(numbers);
  const choose = new Choices(edit);
  const [name, change] = choose.of(EDITS);
  return { before, after: await change(before, choose, numbers), edit: name };
}

type Edit = readonly [name: string, change: (before: Program, choose: Choices, numbers: Numbers) => Promise<Program>];

const EDITS: readonly Edit[] = [
  ['a file has other content', async (before, choose) => withFile(before, choose, (text) => `${text}more\n`)],
  ['a file has other content of the same size', async (before, choose) => withFile(before, choose, upperCase)],
  [
    'a file has another mode',
    async (before, choose) => {
      const path = choose.of(Object.keys(before.files));
      return { ...before, modes: { ...before.modes, [path]: before.modes[path] === 0o700 ? 0o644 : 0o700 } };
    },
  ],
  ['an argument has another value', async (before) => ({ ...before, args: ['--build-arg', 'W=other'] })],
  ['an instruction is another one', (_, choose, numbers) => programOf(replaced(numbers, choose))],
  [
    'the last instruction is gone',
    async (before) => ({
      ...before,
      dockerfile: before.dockerfile.replace(/\n(?!.*AS s\d)[A-Z]+ .*(\n .*)*\n$/, '\n'),
    }),
  ],
  [
    'something comes first',
    async (before) => ({
      ...before,
      dockerfile: before.dockerfile.replace('USER root\n', 'USER root\nRUN echo first > /first\n'),
    }),
  ],
];

function withFile(before: Program, choose: Choices, change: (text: string) => string): Program {
  const path = choose.of(Object.keys(before.files).filter((each) => !/^\.dockerignore$|\.tar$/.test(each)));
  return { ...before, files: { ...before.files, [path]: change(String(before.files[path])) } };
}

const upperCase = (text: string): string => (text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase());

function replaced(numbers: Numbers, choose: Choices): Numbers {
  const at = 1 + choose.below(numbers.length - 1);
  return numbers.map((each, index) => (index === at ? each.map((number) => number + 1 + choose.below(1000)) : each));
}
