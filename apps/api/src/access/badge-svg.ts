import type { Badge } from '#storage';

/** Of which figure. */
export type BadgeFigure = 'hits' | 'build';

const CHARACTER_PX = 6.6;
const PAD_PX = 7;
const HEIGHT_PX = 20;
const colours = { good: '#1b7a43', fair: '#9a6400', bad: '#b3261e', none: '#5c6168' } as const;

/** A badge as pages of projects show them: what it is, and what it comes to. All words are the farm's own. */
export function badgeSvg(badge: Badge, figure: BadgeFigure): string {
  const [label, value, colour] = figure === 'hits' ? hits(badge) : build(badge);
  const [left, right] = [width(label), width(value)];
  const middle = (from: number, of: number): number => Math.round((from + of / 2) * 10) / 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + right}" height="${HEIGHT_PX}" role="img" aria-label="${label}: ${value}">`,
    `<title>${label}: ${value}</title>`,
    `<rect width="${left + right}" height="${HEIGHT_PX}" rx="3" fill="#3b3f45"/>`,
    `<path d="M${left} 0h${right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-${right - 3}z" fill="${colour}"/>`,
    '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">',
    `<text x="${middle(0, left)}" y="14">${label}</text><text x="${middle(left, right)}" y="14">${value}</text>`,
    '</g></svg>',
  ].join('');
}

const width = (text: string): number => Math.round(text.length * CHARACTER_PX + 2 * PAD_PX);

function hits({ hitRatio }: Badge): readonly [string, string, string] {
  if (hitRatio === null) return ['kiln cache', 'no builds', colours.none];
  const colour = hitRatio >= 0.75 ? colours.good : hitRatio >= 0.4 ? colours.fair : colours.bad;
  return ['kiln cache', `${Math.round(hitRatio * 100)}% hit`, colour];
}

function build({ lastBuild }: Badge): readonly [string, string, string] {
  if (lastBuild === null) return ['kiln build', 'none', colours.none];
  return [
    'kiln build',
    lastBuild === 'succeeded' ? 'passing' : 'failing',
    lastBuild === 'succeeded' ? colours.good : colours.bad,
  ];
}
