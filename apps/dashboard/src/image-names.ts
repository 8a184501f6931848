const HUB = /^docker\.io\/(?:library\/)?/;

/** As people write it: without docker.io and library/. */
export const familiar = (name: string): string => name.replace(HUB, '');

/** `docker.io/acme/app` of `docker.io/acme/app:1`. */
export function repositoryOf(name: string): string {
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

/** Whether the API takes it for a name. */
export const isImageName = (text: string): boolean =>
  text.length < 512 &&
  /^(?:[a-z0-9.-]+(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?$/.test(
    text,
  );
