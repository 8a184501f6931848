import type { MeView } from '#protocol';
import { cleanLine } from '../progress/log-text.ts';

/** For people. */
export function meText({ kind, token, member, subject, project, team, scope, trust, permissions, expiresAt }: MeView) {
  const who = {
    member: `${member?.name ?? ''}, ${member?.role ?? ''} of the team ${team}`,
    project: `the project’s own (team ${team})`,
    ci: `a CI system: ${subject ?? ''}`,
  }[kind];
  const rows = [
    ['token', `${token.name} (${token.id})`],
    ['whose', who],
    ['project', project],
    ['scope', `${scope}, trusted as ${trust}`],
    ['may', permissions.join(', ') || 'nothing: its owner’s role does not reach this scope'],
    ['ends', expiresAt === null ? 'never' : expiresAt.replace('T', ' ').slice(0, 16)],
  ];
  return rows.map(([name = '', value = '']) => `${name.padEnd(13)}${cleanLine(value, false)}\n`).join('');
}
