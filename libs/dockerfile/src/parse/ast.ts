import type { NetworkMode } from '#graph';
import type { HealthcheckSchema } from '#oci';
import type { z } from 'zod';
import type { EscapeToken } from '../lex/directives.ts';
import type { Heredoc } from '../lex/heredoc.ts';
import type { LintOptions } from '../lint/lint-options.ts';

export type Healthcheck = z.infer<typeof HealthcheckSchema>;

/** What all nodes have. Nodes are frozen. */
export interface Located {
  /** the logical line, as it was written */
  readonly text: string;
  /** the keyword as it was written */
  readonly keyword: string;
  /** first and last line of the file, from 1 */
  readonly line: number;
  readonly endLine: number;
  /** of a comment directly above: `# check=skip=…` */
  readonly lint: LintOptions;
  /** the comment lines directly above, without their `#` */
  readonly comments: readonly string[];
  /** there is an empty line within the instruction: the line at which its text ends */
  readonly emptyContinuation: number | undefined;
}

/** The shell form is one text for the shell, the exec form is arguments. */
export type CommandForm =
  | { readonly form: 'shell'; readonly text: string }
  | { readonly form: 'exec'; readonly args: readonly string[] };

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

export interface ArgDeclaration {
  readonly name: string;
  readonly value: string | undefined;
}

export interface From extends Located {
  readonly kind: 'from';
  readonly base: string;
  /** in lower case */
  readonly name: string | undefined;
  /** keyword and name of `AS name` as they were written */
  readonly as: Readonly<Record<'keyword' | 'name', string>> | undefined;
  readonly platform: string | undefined;
}
export interface Pairs extends Located {
  readonly kind: 'env' | 'label';
  readonly pairs: readonly KeyValue[];
  /** without `=` */
  readonly legacy: boolean;
}
export interface Arg extends Located {
  readonly kind: 'arg';
  readonly args: readonly ArgDeclaration[];
}
/** A --mount whose variables are not replaced yet. */
export interface WrittenMount {
  /** `key=value` or `key` */
  readonly fields: readonly string[];
  /** stage name, stage number, image or named context */
  readonly from: string | undefined;
}
/** A device by its name in the Container Device Interface, or its class. */
export interface Device {
  readonly name: string;
  readonly required: boolean;
}
export interface Run extends Located {
  readonly kind: 'run';
  readonly command: CommandForm;
  /** in the order in which the command opens them */
  readonly heredocs: readonly Heredoc[];
  readonly network: NetworkMode;
  readonly security: 'sandbox' | 'insecure';
  readonly mounts: readonly WrittenMount[];
  readonly devices: readonly Device[];
}
export interface Command extends Located {
  readonly kind: 'cmd' | 'entrypoint';
  readonly command: CommandForm;
}
export interface InlineSource {
  readonly name: string;
  readonly text: string;
  /** variables in the text are replaced */
  readonly expand: boolean;
}
export interface Copy extends Located {
  readonly kind: 'copy' | 'add';
  readonly sources: readonly string[];
  /** sources that are here-documents: files of their names */
  readonly inline: readonly InlineSource[];
  readonly dest: string;
  /** of COPY: stage name, stage number or image */
  readonly from: string | undefined;
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  /** of COPY */
  readonly parents: boolean;
  /** patterns, in which no variables are replaced */
  readonly excludes: readonly string[];
  /** of ADD: what a URL or a git repository has to be; empty where it does not stand */
  readonly checksum: string;
  /** of ADD, for git repositories */
  readonly keepGitDir: boolean | undefined;
  /** of ADD; undefined: archives of a context are unpacked, those of a URL are not */
  readonly unpack: boolean | undefined;
}
/** Instructions with one argument, taken as it is. */
export interface Single extends Located {
  readonly kind: 'workdir' | 'user' | 'stopsignal' | 'maintainer' | 'onbuild';
  readonly argument: string;
}
export interface Listed extends Located {
  readonly kind: 'expose' | 'volume' | 'shell';
  readonly items: readonly string[];
}
export interface HealthcheckInstruction extends Located {
  readonly kind: 'healthcheck';
  readonly healthcheck: Healthcheck;
}

/** Everything that can stand in a stage. */
export type Instruction = Pairs | Arg | Run | Command | Copy | Single | Listed | HealthcheckInstruction;

export interface Stage {
  readonly from: From;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly escape: EscapeToken;
  /** ARGs before the first FROM */
  readonly globalArgs: readonly Arg[];
  readonly stages: readonly Stage[];
  /** of the `check` directive */
  readonly lint: LintOptions;
}
