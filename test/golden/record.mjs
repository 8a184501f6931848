// Starts record.ts the way the tests are started: Node alone does not take all of TypeScript.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const resolve = { conditions: ['kiln-source', 'node', 'default'] };
const record = fileURLToPath(new URL('record.ts', import.meta.url));
await runnerImport(record, { configFile: false, resolve, environments: { inline: { resolve } } });
