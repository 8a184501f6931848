import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const outDir = fileURLToPath(new URL('../../dist/dashboard', import.meta.url));
const MIN_BYTES = 512;

/** Each file of text also as brotli and gzip: the API sends what is there. */
const compressed: Plugin = {
  name: 'compressed',
  apply: 'build',
  async closeBundle() {
    const entries = await readdir(outDir, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && /\.(?:js|css|html|svg)$/.test(entry.name));
    await Promise.all(
      files.map(async ({ parentPath, name }) => {
        const file = join(parentPath, name);
        const bytes = await readFile(file);
        if (bytes.byteLength < MIN_BYTES) return;
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength };
        await writeFile(`${file}.br`, await promisify(brotliCompress)(bytes, { params }));
        await writeFile(`${file}.gz`, await promisify(gzip)(bytes, { level: 9 }));
      }),
    );
  },
};

export default defineConfig(({ command }) => {
  // In whatever shell or test it is built: React's other form is slower, and half as large again.
  if (command === 'build') process.env['NODE_ENV'] = 'production';
  return {
    // For `vite` alone: the API of an embedded farm.
    server: { proxy: { '/v1': 'http://127.0.0.1:8420' } },
    resolve: { conditions: ['browser', 'kiln-source', 'module', 'import', 'default'] },
    plugins: [compressed],
    build: {
      rolldownOptions: {
        onwarn: (warning, warn) => {
          if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
        },
      },
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  };
});
