import type { Hint } from '#protocol';

/** What to do about steps that ran. */
export function Hints({ hints }: { readonly hints: readonly Hint[] }) {
  return hints.map(({ text, snippet }) => (
    <div key={text} className="hint">
      <p>{text}</p>
      {snippet !== null && (
        <pre aria-label={snippet.file} tabIndex={0}>
          {snippet.file === '.dockerignore' && `# ${snippet.file}\n`}
          {snippet.lines.join('\n')}
        </pre>
      )}
    </div>
  ));
}
