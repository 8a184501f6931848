import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { everyCommand, pathOf } from './help-examples.ts';
import { createProgram } from './program.ts';

const program = createProgram();
const shown = everyCommand(program).filter((command) => command.parent === null || isShown(command));
const docs = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');

function isShown(command: Command): boolean {
  const above = command.parent;
  return above !== null && above.createHelp().visibleCommands(above).includes(command);
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more) });
  command.outputHelp();
  return text;
}

const optionsOf = (command: Command) => command.createHelp().visibleOptions(command);
const rows = shown.map((command): [string, Command] => [`kiln ${pathOf(command)}`.trim(), command]);

describe('the help of', () => {
  it.each(rows)('%s teaches', (path, command) => {
    expect(command.description()).toMatch(/^\S.{8,}$/);
    for (const option of optionsOf(command))
      expect([option.flags, option.description]).toEqual([option.flags, expect.stringMatching(/\S/)]);
    for (const each of command.registeredArguments)
      expect([each.name(), each.description]).toEqual([each.name(), expect.stringMatching(/\S/)]);
    expect(helpOf(command)).toMatch(new RegExp(`^(?:Examples?|First steps):\n(?:.*\n)*? +.*${path}\\b`, 'm'));
  });

  it('commands that list or show has --json', () => {
    const without = rows
      .filter(([, command]) => command.commands.length === 0)
      .filter(([, command]) => !command.options.some(({ long }) => long === '--json'))
      .map(([path]) => path);
    // What they print is for machines already, or is a log, or nothing but that it is done.
    const others = [
      'build',
      'bake',
      'up',
      'down',
      'logs',
      'retry',
      'completion',
      'ci',
      'summary',
      'push',
      'run',
      'proxy',
      'builder join',
    ].map((name) => `kiln ${name}`);
    expect(others).toEqual(expect.arrayContaining(without));
  });
});

describe('docs/cli.md', () => {
  it.each(rows.filter(([, command]) => command.commands.length === 0))('has %s with its flags', (path, command) => {
    expect([path, docs.includes(path) || docs.includes(`\`${path.split(' ').at(-1) ?? ''}\``)]).toEqual([path, true]);
    const missing = optionsOf(command)
      .flatMap(({ long }) => long ?? [])
      .filter((flag) => flag !== '--help' && !new RegExp(`${flag}(?![\\w-])`).test(docs));
    expect(missing).toEqual([]);
  });
});
