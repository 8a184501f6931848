import { join } from 'node:path';
import { type GitAccess, UNPRIVILEGED_ID } from '#remote';
import { KilnError } from '#std';
import { AgentSocket } from './agent-socket.ts';
import type { BuildSession } from './session.ts';
import type { Workspace } from './workspace.ts';

/** The agent that BuildKit takes too. */
const AGENT = 'default';

/** What git is lent by whoever sent the build: its secrets, and its ssh agent. */
export function gitAccess(session: BuildSession, workspace: Workspace): GitAccess {
  return {
    secret(id) {
      const data = session.secrets.get(id);
      return data === undefined ? undefined : Buffer.from(data).toString('utf8');
    },
    async agent(signal) {
      const agent = session.agent(AGENT);
      if (agent === undefined) {
        throw new KilnError('STEP_FAILED', `no ssh agent "${AGENT}" is forwarded to this build`, {
          hint: `pass --ssh ${AGENT}, or --ssh ${AGENT}=KEY`,
        });
      }
      await agent.ready(signal);
      const lost = new AbortController();
      const socket = await AgentSocket.open({
        agent,
        dir: join(workspace.dir, 'agents', workspace.name('')),
        owner: { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID },
        mode: 0o600,
        signal,
        onLost: (reason) => lost.abort(reason),
      });
      return {
        path: socket.path,
        lost: lost.signal,
        [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose](),
      };
    },
  };
}
