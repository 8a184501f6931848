import { familiarReference, formatReference, parseReference } from '#oci';

/** A full name as people write it, in its two parts. @throws KilnError INVALID_ARGUMENT */
export function splitName(name: string): { readonly repository: string; readonly tag: string | undefined } {
  const { tag, ...reference } = parseReference(name);
  return { repository: familiarReference(reference), tag };
}

/** `acme/app:1` of `docker.io/acme/app:1`. @throws KilnError INVALID_ARGUMENT */
export const familiarName = (name: string): string => familiarReference(parseReference(name));

/** The registry that a name is of. @throws KilnError INVALID_ARGUMENT */
export const registryOf = (name: string): string => parseReference(name).registry;

/** `docker.io/acme/app:latest` of `acme/app`; undefined for what is no name, such as a digest. */
export function fullName(text: string): string | undefined {
  try {
    const reference = parseReference(text);
    return reference.digest === undefined ? formatReference(reference) : undefined;
  } catch {
    return undefined;
  }
}
