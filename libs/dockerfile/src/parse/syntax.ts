import { unsupported } from '../invalid.ts';

/** The standard front end, of any release: what Kiln itself understands. */
const standard =
  /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::(?:1(?:[.-][\w.-]*)?|latest|labs|master(?:-labs)?))?(?:@sha256:[0-9a-f]{64})?$/;

/**
 * Of `# syntax=image`, or of the BUILDKIT_SYNTAX build argument.
 * @throws KilnError DOCKERFILE_UNSUPPORTED for another front end
 */
export function checkSyntax(value: string, line?: number): void {
  const [image = ''] = value.split(' ');
  if (standard.test(image)) return;
  throw unsupported(`the front end ${JSON.stringify(image)}`, {
    line,
    hint: 'Kiln reads what docker/dockerfile:1 reads; leave the syntax line out',
  });
}
