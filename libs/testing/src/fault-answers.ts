import type { ServerResponse } from 'node:http';

/** An answer in JSON; without a body when there is none. */
export function send(response: ServerResponse, status: number, body?: unknown): void {
  if (body === undefined) response.writeHead(status).end();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** An error as registries write it. */
export function refuse(response: ServerResponse, status: number, code: string): void {
  send(response, status, { errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] });
}
