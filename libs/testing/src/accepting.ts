import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const TRIES = 200;
const PAUSE_MS = 50;

/** Resolves once a server takes connections. */
export async function accepting(port: number, server: ChildProcess): Promise<void> {
  let failure: unknown = new Error('the server does not answer');
  server.once('error', (error) => {
    failure = error;
  });
  for (let tries = 0; tries < TRIES; tries++) {
    if (server.pid === undefined || server.exitCode !== null) break;
    const socket = connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await delay(PAUSE_MS);
  }
  server.kill();
  throw failure;
}
