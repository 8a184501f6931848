import { posix } from 'node:path';
import type { StageLowering } from '../lower/stage-lowering.ts';
import type { Copy } from '../parse/ast.ts';

/** A source that .dockerignore excludes is not there when the build looks for it. @param sources with variables replaced */
export function lintIgnored(copy: Copy, sources: readonly string[], { options, findings }: StageLowering): void {
  const excludes = options.contextFiles?.excludes;
  if (copy.from !== undefined || excludes === undefined) return;
  for (const source of sources) {
    if (/^(?:[a-z]+:\/\/|[\w-]+@[\w.-]+:)/i.test(source)) continue;
    const path = posix.normalize(source).replace(/(.)\/$/, '$1');
    const root = path === '.' || path === '/';
    if (!excludes(root ? '' : path.replace(/^\//, ''))) continue;
    const verb = copy.kind === 'copy' ? 'Copy' : 'Add';
    const message = `Attempting to ${verb} file ${JSON.stringify(path)} that is excluded by .dockerignore`;
    findings.report('CopyIgnoredFile', message, copy);
  }
}
