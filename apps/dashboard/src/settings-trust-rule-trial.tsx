import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { type TrustRuleTried, TrustRuleTry } from '#protocol';
import { farm } from './farm.ts';
import { Failure } from './parts.tsx';
import { Field } from './settings-form.tsx';
import { claimsIn, ruleOf, sampleFor, type TrustRuleDraft } from './trust-rule-draft.ts';

/** What a rule that is being written would give for an id token. */
export function TrustRuleTrial({ draft }: { readonly draft: TrustRuleDraft }) {
  const [written, setWritten] = useState<string>();
  const [fault, setFault] = useState<string>();
  const trial = useMutation({ mutationFn: (request: TrustRuleTry) => farm.access.tryTrustRule(request) });
  const text = written ?? JSON.stringify(sampleFor(draft), null, 2);
  const start = (): void => {
    trial.reset();
    const drafted = ruleOf(draft);
    const claims = claimsIn(text);
    if (typeof claims === 'string') return setFault(claims);
    if ('faults' in drafted)
      return setFault(`the rule is not complete: ${Object.entries(drafted.faults)[0]?.join(': ') ?? ''}`);
    const request = TrustRuleTry.safeParse({ rule: drafted.rule, claims });
    if (!request.success) return setFault(request.error.issues[0]?.message);
    setFault(undefined);
    trial.mutate(request.data);
  };
  return (
    <details className="whole">
      <summary>What would it admit?</summary>
      <Field
        label="Claims of an id token, or the token itself"
        hint="An example to begin with. A token’s signature is not looked at, and nothing is kept."
        fault={fault}
      >
        {(wiring) => (
          <textarea
            {...wiring}
            rows={7}
            spellCheck={false}
            value={text}
            onChange={(event) => setWritten(event.target.value)}
          />
        )}
      </Field>
      <button type="button" onClick={start} disabled={trial.isPending}>
        Try
      </button>
      {trial.isError && <Failure error={trial.error} />}
      {trial.data !== undefined && <Outcome of={trial.data} />}
    </details>
  );
}

function Outcome({ of: { scope, trust, unmet } }: { readonly of: TrustRuleTried }) {
  if (scope !== null)
    return (
      <p role="status">
        <span className="state succeeded">✓ admitted</span> to the scope <code>{scope}</code>, trusted as {trust}
      </p>
    );
  return (
    <div role="status">
      <span className="state failed">✗ not admitted</span>
      <ul>
        {unmet.map(({ claim, wanted, given }) => (
          <li key={claim}>
            <code>{claim}</code> is {given.length === 0 ? 'not there' : <code>{given.join(', ')}</code>}, and has to be{' '}
            {wanted[0] === '*' ? 'there' : <code>{wanted.join(' or ')}</code>}
          </li>
        ))}
      </ul>
    </div>
  );
}
