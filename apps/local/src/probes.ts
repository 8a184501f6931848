import { connect } from 'node:net';

const PROBE_MS = 2_000;

/** Whether a URL answers with 200. */
export async function answersOk(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(PROBE_MS) });
  await answer.body?.cancel();
  return answer.ok;
}

/** Whether a Redis takes the password and answers. */
export function redisAnswers(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: PROBE_MS });
    let answer = '';
    const end = (ok: boolean): void => {
      socket.destroy();
      resolve(ok);
    };
    socket
      .on('error', () => end(false))
      .on('timeout', () => end(false))
      .on('close', () => end(false));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
      if (answer.includes('+PONG')) end(true);
      else if (answer.includes('-')) end(false);
    });
    socket.write(`AUTH ${password}\r\nPING\r\n`);
  });
}
