import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly pem: string;
  /** paths of PEM files */
  readonly certificate: string;
  readonly key: string;
}

/** A certificate of its own authority, for `registry.example.com` and loopback. */
export async function makeCertificate(directory: string, name: string): Promise<Certificate> {
  const made = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:registry.example.com,IP:127.0.0.1'];
  const files = ['-keyout', made.key, '-out', made.certificate];
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files]);
  return { ...made, pem: await readFile(made.certificate, 'utf8') };
}
