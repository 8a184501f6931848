import Anser from 'anser';

/** A line with the colours that it asks for, by class: the page's policy has no styles in text. */
export function AnsiText({ text, wanted }: { readonly text: string; readonly wanted: string }) {
  const pieces = text.includes('\u001b')
    ? Anser.ansiToJson(text, { use_classes: true, remove_empty: true })
    : [{ content: text, fg: null, decoration: null }];
  return (
    <span className="text">
      {pieces.map(({ content, fg, decoration }, at) => (
        <span key={at} className={[fg, decoration].filter(Boolean).join(' ') || undefined}>
          <Marked text={content} wanted={wanted} />
        </span>
      ))}
    </span>
  );
}

function Marked({ text, wanted }: { readonly text: string; readonly wanted: string }) {
  const at = wanted === '' ? -1 : text.toLowerCase().indexOf(wanted.toLowerCase());
  if (at < 0) return text;
  const end = at + wanted.length;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, end)}</mark>
      <Marked text={text.slice(end)} wanted={wanted} />
    </>
  );
}
