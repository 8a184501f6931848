import { Link } from 'wouter';
import { LineSample } from './line-sample.tsx';

/** What a line of a chart is, and what it comes to. */
export interface LineKey {
  readonly name: string;
  readonly value: string;
  /** the same exactly */
  readonly exact: string;
  /** where the builds behind it are; none where they cannot be told apart */
  readonly href?: string | undefined;
}

/** The rows are numbered as the lines are. @param when for which days the values are */
export function LinesKey(props: { readonly of: string; readonly when: string; readonly lines: readonly LineKey[] }) {
  const { of, when, lines } = props;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">line</th>
          <th scope="col">{of}</th>
          <th scope="col" className="number">
            {when}
          </th>
        </tr>
      </thead>
      <tbody>
        {lines.map(({ name, value, exact, href }, index) => (
          <tr key={name}>
            <td>
              <LineSample index={index} />
            </td>
            <td className="named">{href === undefined ? name : <Link href={href}>{name}</Link>}</td>
            <td className="number" title={exact}>
              {value}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
