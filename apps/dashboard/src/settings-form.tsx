import { type FormEvent, type ReactNode, useEffect, useId, useState } from 'react';
import { isKilnError } from '#std';
import { Failure } from './parts.tsx';

/** What is wrong, by the field that it is about. */
export type Faults = Readonly<Record<string, string>>;

/** Of a request that was refused: `claims[0]` is a fault of the field `claims`. */
export function faultsOf(error: unknown): Faults {
  if (!isKilnError(error) || error.field === undefined) return {};
  const name = error.field.replace(/[.[].*$/, '');
  // The field is named where it is shown, and one thing that is wrong with it is enough.
  const [first = ''] = error.message.split(`; ${name}: `);
  const said = first.startsWith(`${name}: `) ? first.slice(name.length + 2) : first;
  return { [name]: error.hint === undefined ? said : `${said}; ${error.hint}` };
}

interface Wiring {
  readonly id: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string | undefined;
}

interface FieldProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly fault: string | undefined;
  /** over the whole width */
  readonly whole?: boolean;
  readonly children: (wiring: Wiring) => ReactNode;
}

/** An input with its name, and what is said of it beside it. */
export function Field({ label, hint, fault, whole = false, children }: FieldProps) {
  const id = useId();
  const told = [hint !== undefined && `${id}-hint`, fault !== undefined && `${id}-fault`].filter(
    (each) => each !== false,
  );
  const wiring = {
    id,
    'aria-invalid': fault !== undefined,
    'aria-describedby': told.length === 0 ? undefined : told.join(' '),
  };
  return (
    <div className={whole ? 'field whole' : 'field'}>
      <label htmlFor={id}>{label}</label>
      {children(wiring)}
      {fault !== undefined && (
        <p id={`${id}-fault`} role="alert" className="fault">
          {fault}
        </p>
      )}
      {hint !== undefined && (
        <p id={`${id}-hint`} className="quiet">
          {hint}
        </p>
      )}
    </div>
  );
}

interface ChoiceProps<T extends string> extends Wiring {
  readonly options: readonly T[];
  readonly value: T;
  readonly onChange: (value: T) => void;
}

/** One of several words. */
export function Choice<T extends string>({ options, value, onChange, ...wiring }: ChoiceProps<T>) {
  return (
    <select
      {...wiring}
      value={value}
      onChange={({ target }) => {
        const chosen = options.find((each) => each === target.value);
        if (chosen !== undefined) onChange(chosen);
      }}
    >
      {options.map((each) => (
        <option key={each}>{each}</option>
      ))}
    </select>
  );
}

interface ChecksProps<T extends string> {
  readonly legend: string;
  readonly options: readonly T[];
  readonly chosen: readonly T[];
  readonly fault: string | undefined;
  readonly onChange: (chosen: readonly T[]) => void;
}

/** Any of several words. */
export function Checks<T extends string>({ legend, options, chosen, fault, onChange }: ChecksProps<T>) {
  const id = useId();
  return (
    <fieldset className="whole" aria-describedby={fault === undefined ? undefined : id}>
      <legend>{legend}</legend>
      {options.map((each) => (
        <label key={each}>
          <input
            type="checkbox"
            checked={chosen.includes(each)}
            onChange={({ target: { checked } }) =>
              onChange(options.filter((one) => (one === each ? checked : chosen.includes(one))))
            }
          />{' '}
          {each}
        </label>
      ))}
      {fault !== undefined && (
        <p id={id} role="alert" className="fault">
          {fault}
        </p>
      )}
    </fieldset>
  );
}

interface FormPanelProps {
  readonly title: string;
  readonly submit: string;
  readonly busy: boolean;
  /** of the request, where no field shows it */
  readonly error?: unknown;
  readonly onSubmit: () => void;
  readonly onCancel: () => void;
  readonly children: ReactNode;
}

/** A form in the page; whoever leaves it is again where it was opened. */
export function FormPanel({ title, submit, busy, error, onSubmit, onCancel, children }: FormPanelProps) {
  const [opener] = useState(() => document.activeElement);
  useEffect(() => () => (opener instanceof HTMLElement && opener.isConnected ? opener.focus() : undefined), [opener]);
  const send = (event: FormEvent): void => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <form className="panel form" aria-label={title} onSubmit={send}>
      <h2>{title}</h2>
      {children}
      {error !== undefined && error !== null && (
        <div className="whole">
          <Failure error={error} />
        </div>
      )}
      <div className="actions whole">
        <button type="submit" className="main" disabled={busy}>
          {submit}
        </button>
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
