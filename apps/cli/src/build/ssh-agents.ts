import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentAnswers } from '#client';
import { KilnError, systemCode } from '#std';
import { usageError } from '../usage.ts';
import { whyUnreadable } from './unreadable.ts';
import type { AgentSource } from './ssh-sources.ts';

/** Of one answer; as OpenSSH's own agent has it. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** A person may have to touch a key. */
const ANSWER_MS = 110_000;
const START_MS = 5_000;
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;

export interface AgentSurroundings {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The agents of one build, by id, for as long as they are held. */
export class SshAgents implements AsyncDisposable {
  readonly #sockets = new Map<string, string>();
  readonly #held = new AsyncDisposableStack();

  /** @throws KilnError INVALID_ARGUMENT when an agent is not there, or a key cannot be used */
  static async open(sources: readonly AgentSource[], around: AgentSurroundings): Promise<SshAgents> {
    const agents = new SshAgents();
    try {
      for (const source of sources) agents.#sockets.set(source.id, await agents.#socketOf(source, around));
      return agents;
    } catch (thrown) {
      await agents[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  get ids(): readonly string[] {
    return [...this.#sockets.keys()];
  }

  /** Asks an agent to list keys or to sign; whatever else the farm wants is refused here too. */
  readonly answer: AgentAnswers = async (id, message) => {
    const path = this.#sockets.get(id);
    if (path === undefined) throw new KilnError('NOT_FOUND', `no agent ${id} is forwarded`);
    if (message[0] !== REQUEST_IDENTITIES && message[0] !== SIGN_REQUEST) {
      throw new KilnError('PERMISSION_DENIED', 'an agent only lists keys and signs');
    }
    return await askAgent(path, message);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }

  async #socketOf({ id, paths }: AgentSource, { cwd, environment }: AgentSurroundings): Promise<string> {
    if (paths.length === 0) {
      const own = environment['SSH_AUTH_SOCK'];
      if (own !== undefined && own !== '') return own;
      throw usageError(
        `--ssh ${id}: there is no agent, SSH_AUTH_SOCK is not set`,
        `start ssh-agent, or pass --ssh ${id}=KEY`,
      );
    }
    const found = await Promise.all(paths.map((path) => lookAt(id, resolve(cwd, path))));
    const [first] = found;
    if (found.length === 1 && first?.socket === true) return first.path;
    if (found.some(({ socket }) => socket)) {
      throw usageError(`--ssh ${id}: one socket, or keys, but not both`);
    }
    return await this.#ownAgent(
      id,
      found.map(({ path }) => path),
    );
  }

  /** An agent with these keys alone, which ends with the build. */
  async #ownAgent(id: string, keys: readonly string[]): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'kiln-ssh-'));
    this.#held.defer(() => rm(dir, { recursive: true, force: true }));
    const path = join(dir, 'agent');
    const child = spawn('ssh-agent', ['-D', '-a', path], { stdio: 'ignore' });
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (cause) => reject(missingProgram('ssh-agent', cause)));
      child.once('exit', () => reject(new KilnError('UNAVAILABLE', 'ssh-agent ended')));
    });
    failed.catch(() => undefined);
    this.#held.defer(() => void child.kill());
    await Promise.race([listening(path), failed]);
    for (const key of keys) await addKey(id, key, path);
    return path;
  }
}

async function lookAt(id: string, path: string): Promise<{ readonly path: string; readonly socket: boolean }> {
  try {
    return { path, socket: (await stat(path)).isSocket() };
  } catch (cause) {
    throw usageError(`--ssh ${id}: ${path} cannot be read: ${whyUnreadable(cause)}`, undefined, cause);
  }
}

async function listening(path: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 20) {
    try {
      if ((await stat(path)).isSocket()) return;
    } catch (thrown) {
      if (systemCode(thrown) !== 'ENOENT') throw thrown;
    }
    if (waitedMs > START_MS) throw new KilnError('UNAVAILABLE', 'ssh-agent does not start');
    await delay(20);
  }
}

async function addKey(id: string, key: string, socket: string): Promise<void> {
  const env = { PATH: process.env['PATH'] ?? '', SSH_AUTH_SOCK: socket, SSH_ASKPASS_REQUIRE: 'never' };
  const child = spawn('ssh-add', ['-q', key], { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-1_000)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) => reject(missingProgram('ssh-add', cause)));
    child.once('close', resolve);
  });
  if (code === 0) return;
  throw usageError(
    `--ssh ${id}: the key ${key} cannot be used: ${said.trim().split('\n').at(-1) ?? ''}`,
    'a key with a passphrase goes into your own agent: ssh-add, and --ssh default',
  );
}

function missingProgram(name: string, cause: unknown): KilnError {
  return new KilnError('UNAVAILABLE', `${name} cannot be started`, {
    hint: 'install openssh-client, or pass the socket of an agent',
    cause,
  });
}

/** One question, one answer, one connection. */
function askAgent(path: string, message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let held = Buffer.alloc(0);
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('the agent does not answer')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the agent hung up')));
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < 4) return;
      const size = held.readUInt32BE();
      if (size > MAX_ANSWER_BYTES) socket.destroy(new Error('the agent’s answer is too long'));
      if (held.length < 4 + size) return;
      resolve(held.subarray(4, 4 + size));
      socket.destroy();
    });
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.byteLength);
    socket.write(Buffer.concat([length, message]));
  });
}
