import { usageError } from '../usage.ts';

/** An agent that steps may ask: a socket, or keys that an agent of this build is given. */
export interface AgentSource {
  readonly id: string;
  /** empty for the user's own agent */
  readonly paths: readonly string[];
}

/** `--ssh default`, `--ssh id=SOCKET`, `--ssh id=KEY[,KEY…]`. @throws KilnError INVALID_ARGUMENT */
export function parseAgent(value: string): AgentSource {
  const equals = value.indexOf('=');
  const id = equals === -1 ? value : value.slice(0, equals);
  const paths = equals === -1 ? [] : value.slice(equals + 1).split(',');
  if (id !== '' && !paths.includes('')) return { id, paths };
  throw usageError(
    `--ssh is no agent: ${JSON.stringify(value)}`,
    'such as --ssh default or --ssh github=$HOME/.ssh/id_ed25519',
  );
}
