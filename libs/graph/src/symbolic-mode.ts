/** rwx of one class of users. */
const RWX = 0o7;
const SETUID = 0o4000;
const SETGID = 0o2000;
const STICKY = 0o1000;
/** What `=` clears when nobody is named: all but the sticky bit. */
const STANDARD = 0o6777;

const OTHERS = 0o007;

const classes: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: OTHERS, a: STANDARD };
const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

type Change =
  | { readonly kind: 'set' | 'clear'; readonly bits: number }
  /** `X`: set on directories, and on what anybody could execute before */
  | { readonly kind: 'search'; readonly bits: number }
  /** `g=u`: the bits of one class for those of others */
  | {
      readonly kind: 'copy';
      readonly from: number;
      readonly to: readonly number[];
      readonly set: boolean;
      readonly clear: boolean;
    };

/** A mode such as `u=rwX,go-w`, as the changes that it makes, in their order. */
export type SymbolicMode = readonly Change[];

/**
 * Reads a mode as chmod(1) has it, with an umask of 0: clauses with commas between them, in each who (`ugoa`) and one or
 * more of `+`, `-`, `=` with permissions (`rwxXst`) or classes to copy from (`ugo`).
 * Undefined for what is no symbolic mode.
 */
export function parseSymbolicMode(text: string): SymbolicMode | undefined {
  const clauses = text.split(',').map((clause) => /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause));
  const changes: Change[] = [];
  for (const clause of clauses) {
    if (clause === null) return undefined;
    const who = [...(clause[1] ?? '')].reduce((bits, name) => bits | (classes[name] ?? 0), 0);
    for (const action of clause[2]?.match(/[-+=][^-+=]*/g) ?? []) changes.push(...actionChanges(who, action));
  }
  return changes;
}

/** One operator with what follows it, as BSD's setmode(3), which BuildKit took over, understands it. */
function actionChanges(named: number, action: string): readonly Change[] {
  const operator = action[0] ?? '';
  const changes: Change[] = [];
  let who = named;
  let bits = 0;
  let search = 0;
  let cleared = operator !== '=';
  const limited = (all: number): number => (who === 0 ? all : who & all);
  const flush = (last: boolean): void => {
    if (bits !== 0 || (last && !cleared)) {
      if (operator === '=') changes.push({ kind: 'clear', bits: who === 0 ? STANDARD : who });
      changes.push({ kind: operator === '-' ? 'clear' : 'set', bits: limited(bits) });
      cleared = true;
    }
    if (search !== 0) changes.push({ kind: 'search', bits: limited(search) });
    bits = 0;
    search = 0;
  };
  // Set-id bits and the sticky bit are no matter of "others" alone.
  const onlyOthers = who !== 0 && (who & ~OTHERS) === 0;
  for (const permission of action.slice(1)) {
    switch (permission) {
      case 'r':
        bits |= 0o444;
        break;
      case 'w':
        bits |= 0o222;
        break;
      case 'x':
        bits |= 0o111;
        break;
      case 'X':
        if (operator === '-') bits |= 0o111;
        else search = 0o111;
        break;
      case 's':
        if (!onlyOthers) bits |= SETUID | SETGID;
        break;
      case 't':
        if (!onlyOthers) {
          who |= STICKY;
          bits |= STICKY;
        }
        break;
      default: {
        flush(false);
        cleared = true;
        const to = ['u', 'g', 'o'].filter((name) => who === 0 || (who & (classes[name] ?? 0) & 0o777) !== 0);
        changes.push({
          kind: 'copy',
          from: shifts[permission] ?? 0,
          to: to.map((name) => shifts[name] ?? 0),
          set: operator !== '-',
          clear: operator !== '+',
        });
      }
    }
  }
  flush(true);
  return changes;
}

/** The permission bits (0 to 0o7777) after the changes. */
export function applySymbolicMode(changes: SymbolicMode, mode: number, isDirectory: boolean): number {
  let now = mode;
  for (const change of changes) {
    switch (change.kind) {
      case 'set':
        now |= change.bits;
        break;
      case 'clear':
        now &= ~change.bits;
        break;
      case 'search':
        if (isDirectory || (mode & 0o111) !== 0) now |= change.bits;
        break;
      case 'copy': {
        const value = (now >> change.from) & RWX;
        for (const to of change.to) {
          if (change.clear) now &= ~((change.set ? RWX : value) << to);
          if (change.set) now |= value << to;
        }
      }
    }
  }
  return now;
}
