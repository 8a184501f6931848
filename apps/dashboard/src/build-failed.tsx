import type { BuildView } from '#protocol';

/** Why a build failed: the last lines, and the line of the Dockerfile. */
export function BuildFailed({ failure }: { readonly failure: NonNullable<BuildView['failure']> }) {
  const { message, hint, excerpt, tail } = failure;
  return (
    <section className="notice bad" aria-label="Why it failed">
      <p>{message}</p>
      {hint !== undefined && <p className="quiet">{hint}</p>}
      {tail !== undefined && tail.length > 0 && <pre tabIndex={0}>{tail.join('\n')}</pre>}
      {excerpt !== undefined && (
        <pre tabIndex={0}>
          {excerpt.lines.map((line, at) => {
            const number = excerpt.firstLine + at;
            const hit = number >= excerpt.line && number <= (excerpt.endLine ?? excerpt.line);
            return `${hit ? '>' : ' '} ${String(number).padStart(4)} | ${line}\n`;
          })}
        </pre>
      )}
    </section>
  );
}
