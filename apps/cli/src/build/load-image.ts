import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest, type RequestOptions as TlsOptions } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Bytes, KilnError, messageOf, systemCode } from '#std';
import { z } from 'zod';
import type { DockerAddress, LoadTarget } from './load-target.ts';

const COMPLAINT_CHARACTERS = 2_000;

/**
 * Loads an archive as `docker load` does. Gives what the engine says of it, line by line.
 * @throws KilnError UPSTREAM_UNAVAILABLE when the engine cannot be reached or does not take it; what the source throws
 */
export function loadImage(target: LoadTarget, archive: Bytes, signal: AbortSignal): Promise<readonly string[]> {
  switch (target.kind) {
    case 'docker':
      return loadIntoDocker(target.address, archive, signal);
    case 'podman':
      return loadIntoPodman(target.command, archive, signal);
  }
}

const shown = (address: DockerAddress): string => (address.kind === 'socket' ? address.path : address.url.origin);

async function loadIntoDocker(address: DockerAddress, archive: Bytes, signal: AbortSignal): Promise<readonly string[]> {
  const path = '/images/load?quiet=1';
  const headers = { 'content-type': 'application/x-tar' };
  const at = await connectionOf(address);
  const request = (address.kind === 'url' && address.url.protocol === 'https:' ? httpsRequest : httpRequest)({
    ...at,
    path,
    method: 'POST',
    headers,
    signal,
  });
  // What fails here ends the request too, which says so below; an answer may come before all is sent.
  pipeline(Readable.from(archive, { objectMode: false }), request).catch(() => {});
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return await readAnswer(response);
  } catch (thrown) {
    signal.throwIfAborted();
    if (systemCode(thrown) === undefined) throw thrown;
    throw new KilnError(
      'UPSTREAM_UNAVAILABLE',
      `--load: Docker at ${shown(address)} cannot be reached: ${messageOf(thrown)}`,
      {
        hint: 'is it running, and may this user use it? --output type=docker,dest=image.tar writes a file',
        cause: thrown,
      },
    );
  } finally {
    request.destroy();
  }
}

async function connectionOf(address: DockerAddress): Promise<RequestOptions & TlsOptions> {
  if (address.kind === 'socket') return { socketPath: address.path, host: 'docker' };
  const { hostname, port, protocol } = address.url;
  const at = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (protocol === 'https:' ? 2376 : 2375) : port,
  };
  if (address.certificates === undefined) return at;
  const read = (name: string): Promise<Buffer> => readFile(join(address.certificates ?? '', name));
  return { ...at, ca: await read('ca.pem'), cert: await read('cert.pem'), key: await read('key.pem') };
}

const Progress = z.looseObject({
  stream: z.string().optional(),
  error: z.string().optional(),
  message: z.string().optional(),
});

/** A line of JSON for each thing that happened; a failure comes behind a status of 200 too. */
async function readAnswer(response: IncomingMessage): Promise<readonly string[]> {
  const said: string[] = [];
  const failed = (why: string): KilnError =>
    new KilnError('UPSTREAM_UNAVAILABLE', `--load: Docker did not take the image: ${why}`);
  for await (const line of createInterface({ input: response })) {
    const told = Progress.safeParse(parseJson(line)).data;
    const failure = told?.error ?? told?.message;
    if (failure !== undefined) throw failed(failure);
    if (told?.stream !== undefined && told.stream.trim() !== '') said.push(told.stream.trim());
  }
  if (response.statusCode !== 200) throw failed(`it answered ${response.statusCode}`);
  return said;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function loadIntoPodman(command: string, archive: Bytes, signal: AbortSignal): Promise<readonly string[]> {
  const child = spawn(command, ['load'], { signal, stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  closed.catch(() => {});
  let said = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_CHARACTERS);
  });
  let failure: { readonly thrown: unknown } | undefined;
  try {
    await pipeline(Readable.from(archive, { objectMode: false }), child.stdin);
  } catch (thrown) {
    // Who hangs up says why in a moment; what goes wrong with the archive is for the caller.
    if (systemCode(thrown) !== 'EPIPE') {
      child.kill('SIGKILL');
      failure = { thrown };
    }
  }
  const [code] = (await closed) as readonly unknown[];
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.thrown;
  if (code === 0) return said.trim().split('\n');
  throw new KilnError('UPSTREAM_UNAVAILABLE', `--load: podman did not take the image: ${complaint.trim()}`);
}
