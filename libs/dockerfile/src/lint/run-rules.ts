import type { Instruction, Run } from '../parse/ast.ts';
import type { Findings } from './findings.ts';
import type { Typo } from './typography.ts';
import { argumentListsOf } from './run-script.ts';

/** By package manager: commands that it does not have, and what people mean by them. */
const mistaken: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  apt: { add: 'install', del: 'remove', uninstall: 'remove' },
  'apt-get': { add: 'install', del: 'remove', uninstall: 'remove' },
  apk: { install: 'add', remove: 'del', uninstall: 'del' },
  yum: { add: 'install', del: 'remove', uninstall: 'remove' },
  dnf: { add: 'install', del: 'remove', uninstall: 'remove' },
  microdnf: { add: 'install', del: 'remove', uninstall: 'remove' },
  zypper: { add: 'install', del: 'remove' },
  pip: { add: 'install', remove: 'uninstall' },
  pip3: { add: 'install', remove: 'uninstall' },
  gem: { add: 'install', remove: 'uninstall' },
};

interface Prompting {
  readonly commands: readonly string[];
  /** flags after which nothing is asked, or nothing done */
  readonly silent: RegExp;
  readonly flag: string;
}
const apt: Prompting = {
  commands: ['install', 'upgrade', 'dist-upgrade', 'full-upgrade'],
  silent:
    /^(?:-[a-zA-Z]*[yYs][a-zA-Z]*|-q{2,}|-q=\d+|--yes|--assume-yes|--dry-run|--simulate|--just-print|--print-uris)$/,
  flag: '-y',
};
const yum: Prompting = {
  commands: ['install', 'groupinstall', 'localinstall', 'upgrade', 'update'],
  silent: /^(?:-[a-zA-Z]*y[a-zA-Z]*|--assumeyes|--assumeno)$/,
  flag: '-y',
};
const prompting: Readonly<Record<string, Prompting>> = { apt, 'apt-get': apt, yum, dnf: yum, microdnf: yum };
/** Set in a configuration, it holds for all that follows. */
const configured = /assume-?yes/i;

/** What the commands of a stage's RUNs show. */
export function lintRunCommands(instructions: readonly Instruction[], findings: Findings): void {
  let asks = true;
  for (const node of instructions) {
    if (configured.test(node.text)) asks = false;
    if (node.kind !== 'run') continue;
    for (const { rule, message } of commandTypos(node)) {
      if (asks || rule !== 'PromptingInstall') findings.report(rule, message, node);
    }
  }
}

/** Mistakes in calls of package managers. */
export function commandTypos(run: Run): readonly Typo[] {
  return argumentListsOf(run).flatMap(({ args, piped }): readonly Typo[] => {
    const [program = '', ...rest] = args;
    // `-o Name=value` has a value of its own.
    const command = rest.find((word) => !word.startsWith('-') && !word.includes('=')) ?? '';
    const meant = own(own(mistaken, program), command);
    if (meant !== undefined) {
      return [
        { rule: 'UnknownPackageCommand', message: `${program} has no command ${command}: write ${program} ${meant}` },
      ];
    }
    const manager = own(prompting, program);
    const asks =
      manager?.commands.includes(command) === true &&
      !piped &&
      !rest.some((word) => manager.silent.test(word) || word.includes('$'));
    if (manager === undefined || !asks) return [];
    const message = `${program} ${command} asks before it goes on, and nobody answers: write ${program} ${command} ${manager.flag}`;
    return [{ rule: 'PromptingInstall', message }];
  });
}

function own<T>(table: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined;
}
