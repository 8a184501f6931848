import { createHash } from 'node:crypto';
import type { BuildEvent, BuildFailure, BuildResult, PlannedInstruction } from '#protocol';
import { ClassicLogs, coloured, type LogPart } from './classic-logs.ts';
import { failureLine } from './failure-line.ts';

/** A line of JSON of the Engine API: what is printed, what a program reads, or how it failed. */
export type EngineMessage =
  | { readonly stream: string }
  | { readonly status: string; readonly id?: string; readonly progressDetail?: Readonly<Record<string, number>> }
  | {
      readonly aux: Readonly<Record<string, string | number>>;
      readonly progressDetail?: Readonly<Record<string, never>>;
    }
  | { readonly error: string; readonly errorDetail: { readonly message: string; readonly code?: number } };

/** What is to be told: messages, and what of them has to be read first. */
export type Told = EngineMessage | { readonly log: LogPart };

export interface ClassicOptions {
  readonly buildId: string;
  /** familiar ones */
  readonly tags: readonly string[];
  /** images of instructions that there were before this build, which grow as it tells of its own: who gives one used the cache */
  readonly known: ReadonlySet<string>;
}

type Outcome = 'running' | 'hit' | 'made' | 'failed';
type Of<T extends BuildEvent['type']> = Extract<BuildEvent, { readonly type: T }>;

/**
 * A build as the classic `docker build` prints it: `Step 1/7 : FROM …`, ` ---> id`, `Using cache`. Steps run in any order here;
 * they are told in the file's, each as it happens once those above it are done.
 */
export class ClassicOutput {
  readonly #options: ClassicOptions;
  readonly #logs = new ClassicLogs();
  #instructions: readonly PlannedInstruction[] = [];
  #total = 0;
  readonly #ids = new Map<number, string>();
  readonly #outcomes = new Map<string, Outcome>();
  /** the instruction that is told, how many of the file's were, and how far it is */
  #at = 0;
  #number = 0;
  #told: 'nothing' | 'head' | 'running' = 'nothing';
  /** of more instructions than are told of one by one: steps by their names, as they run */
  #isUntold = false;
  #names: ReadonlyMap<string, string> = new Map();
  #isOver = false;

  constructor(options: ClassicOptions) {
    this.#options = options;
  }

  /** The build has said what there is to say to a docker client. */
  get isOver(): boolean {
    return this.#isOver;
  }

  see(event: BuildEvent, seq: number): readonly Told[] {
    switch (event.type) {
      case 'planned':
        this.#plan(event);
        return this.#advance();
      case 'vertexStarted':
        this.#outcomes.set(event.vertex, 'running');
        return this.#isUntold ? this.#name(event) : this.#advance();
      case 'log':
        return this.#log(event, seq);
      case 'vertexDone':
        this.#outcomes.set(event.vertex, event.outcome === 'hit' || event.outcome === 'done' ? 'hit' : 'made');
        return this.#advance();
      case 'vertexFailed':
        this.#outcomes.set(event.vertex, 'failed');
        return this.#advance();
      case 'intermediate':
        this.#ids.set(event.instruction, event.id);
        return this.#advance();
      case 'warning':
        return event.rule === undefined ? [{ stream: ` ---> [Warning] ${event.message}\n` }] : [];
      case 'delivered':
      case 'succeeded':
        return this.#isOver ? [] : this.#succeed(event.result);
      case 'failed':
        return this.#fail(event.failure);
      case 'cancelled':
        this.#isOver = true;
        return [problem(`the build was cancelled: ${event.reason}`)];
      case 'started':
      case 'progress':
      case 'layerPushed':
        return [];
    }
  }

  #name({ vertex }: Of<'vertexStarted'>): readonly EngineMessage[] {
    const name = this.#names.get(vertex);
    return name === undefined ? [] : [{ stream: `${name}\n` }];
  }

  /** Of the step in turn at once, whatever is held of others; and of every step where no instruction is told of. */
  #log(log: Of<'log'>, seq: number): readonly Told[] {
    const { vertex } = this.#instructions[this.#at] ?? {};
    const inTurn = this.#told === 'running' && vertex === log.vertex;
    if (inTurn || this.#isUntold) return [{ stream: coloured(log) }];
    this.#logs.add(log, seq);
    return this.#advance();
  }

  /** A take-over plans again; what was told stays told. */
  #plan({ instructions = [], vertices }: Of<'planned'>): void {
    this.#isUntold = instructions.length === 0;
    this.#names = this.#isUntold ? new Map(vertices.map(({ vertex, name }) => [vertex, name])) : new Map();
    this.#instructions = instructions;
    this.#total = instructions.filter(({ onbuild }) => onbuild !== true).length;
  }

  #advance(): readonly Told[] {
    const said: Said[] = [];
    while (this.#at < this.#instructions.length && this.#tell(said)) {
      this.#at += 1;
      this.#told = 'nothing';
    }
    return told(said);
  }

  /** Tells what is known of the instruction in turn. @returns whether that is all */
  #tell(said: Said[]): boolean {
    const instruction = this.#instructions[this.#at];
    if (instruction === undefined) return false;
    if (this.#told === 'nothing') {
      if (instruction.onbuild !== true) said.push(`Step ${++this.#number}/${this.#total} : ${instruction.text}\n`);
      this.#told = 'head';
    }
    // An ARG before the first FROM gives no image.
    if (instruction.stage === undefined) return true;
    const outcome = instruction.vertex === undefined ? undefined : this.#outcomes.get(instruction.vertex);
    if (instruction.vertex !== undefined && outcome !== 'hit') {
      if (outcome === undefined) return false;
      if (this.#told === 'head' && runs(instruction)) said.push(` ---> Running in ${this.#container()}\n`);
      this.#told = 'running';
      said.push(...this.#logs.take(instruction.vertex));
      if (outcome !== 'made') return false;
    }
    const id = this.#ids.get(this.#at);
    if (id === undefined && !isScratch(instruction)) return false;
    const cached = instruction.vertex !== undefined || (id !== undefined && this.#options.known.has(id));
    said.push(...this.#end(instruction, id, cached));
    return true;
  }

  #end(instruction: PlannedInstruction, id: string | undefined, cached: boolean): readonly string[] {
    const arrow = ` ---> ${id === undefined ? '' : short(id)}\n`;
    if (isFrom(instruction)) return [arrow];
    if (this.#told === 'running') {
      return runs(instruction) ? [`Removing intermediate container ${this.#container()}\n`, arrow] : [arrow];
    }
    if (cached) return [' ---> Using cache\n', arrow];
    const container = this.#container();
    return [` ---> Running in ${container}\n`, `Removing intermediate container ${container}\n`, arrow];
  }

  #succeed(result: BuildResult): readonly Told[] {
    const said = [...this.#rest()];
    this.#isOver = true;
    const { configDigest: id } = result;
    if (id === undefined) return said;
    const lines = [
      `Successfully built ${short(id)}\n`,
      ...this.#options.tags.map((tag) => `Successfully tagged ${tag}\n`),
    ];
    return [...said, { aux: { ID: id } }, ...lines.map((stream) => ({ stream }))];
  }

  /** What no image was told of: the numbers of steps go on all the same. */
  #rest(): readonly Told[] {
    const said: Said[] = [];
    for (; this.#at < this.#instructions.length; this.#at++, this.#told = 'nothing') {
      const instruction = this.#instructions[this.#at];
      if (instruction === undefined || this.#tell(said)) continue;
      if (instruction.vertex !== undefined) said.push(...this.#logs.take(instruction.vertex));
    }
    return told(said);
  }

  #fail(failure: BuildFailure): readonly Told[] {
    this.#isOver = true;
    const at = this.#instructions.findIndex(({ vertex }) => vertex !== undefined && vertex === failure.vertex);
    const failed = this.#instructions[at];
    const said: Said[] = [];
    if (failed?.vertex !== undefined && at > this.#at) {
      const number = this.#instructions.slice(0, at + 1).filter(({ onbuild }) => onbuild !== true).length;
      said.push(`Step ${number}/${this.#total} : ${failed.text}\n`, ...this.#logs.take(failed.vertex));
    }
    const { message, code } = failureLine(failure, failed?.text ?? stepOf(failure));
    return [...told(said), problem(message, code)];
  }

  /** No container is ever kept, so that none has a name: one that is as good as another. */
  #container(): string {
    return createHash('sha256').update(`${this.#options.buildId} ${this.#at}`).digest('hex').slice(0, 12);
  }
}

type Said = string | LogPart;

/** As few messages as there can be. */
function told(said: readonly Said[]): readonly Told[] {
  const all: Told[] = [];
  let text = '';
  for (const each of said) {
    if (typeof each === 'string') {
      text += each;
      continue;
    }
    if (text !== '') all.push({ stream: text });
    text = '';
    all.push({ log: each });
  }
  return text === '' ? all : [...all, { stream: text }];
}

/** The instruction in the name of a step: `[501/900] RUN make`. */
const stepOf = ({ name }: BuildFailure): string | undefined => name?.replace(/^\[[^\]]*\] /, '');

export const short = (digest: string): string => digest.replace('sha256:', '').slice(0, 12);

export const problem = (message: string, code?: number): EngineMessage => ({
  errorDetail: { ...(code === undefined ? {} : { code }), message },
  error: message,
});

const isFrom = ({ text }: PlannedInstruction): boolean => /^from\s/i.test(text);
const isScratch = ({ text }: PlannedInstruction): boolean => /^from\s+(?:--\S+\s+)*scratch(?:\s|$)/i.test(text);
/** What the classic builder makes a container for; COPY and ADD are its own work. */
const runs = ({ text }: PlannedInstruction): boolean => !/^(?:copy|add)\s/i.test(text);
