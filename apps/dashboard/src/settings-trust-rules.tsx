import { useState } from 'react';
import type { MeView, TrustRule } from '#protocol';
import { farm } from './farm.ts';
import { Failure } from './parts.tsx';
import { Listed, useChange } from './settings-list.tsx';
import { mayAdminister, NotYours, OutOfReach, reaches } from './settings-rights.tsx';
import { TrustRuleForm } from './settings-trust-rule-form.tsx';

/** Whose id tokens the project takes, and for what. */
export function TrustRules({ me }: { readonly me: MeView }) {
  // null: none is written; undefined: a new one.
  const [edited, setEdited] = useState<TrustRule | undefined | null>(null);
  const remove = useChange('Trust rules', (id: string) => farm.access.removeTrustRule(id));
  if (!mayAdminister(me)) return <NotYours me={me} what="trust rules" />;
  return (
    <>
      {edited === null ? (
        <p>
          <button type="button" onClick={() => setEdited(undefined)}>
            New trust rule
          </button>{' '}
          <span className="quiet">CI jobs get short-lived tokens for the id tokens that their system signs.</span>
        </p>
      ) : (
        <TrustRuleForm key={edited?.id ?? ''} me={me} rule={edited} onClose={() => setEdited(null)} />
      )}
      {remove.error !== null && <Failure error={remove.error} />}
      <Listed
        name="Trust rules"
        load={(signal) => farm.access.trustRules(signal)}
        heads={['Name', 'Issuer and audience', 'Claims', 'Scope', 'Trust', 'May', '']}
        keyOf={({ id }) => id}
        row={(rule) => [
          rule.name,
          <>
            {rule.issuer}
            <div className="quiet">for {rule.audience}</div>
          </>,
          <Claims of={rule} />,
          <>
            <code>{rule.scope}</code>
            {rule.parent !== null && <div className="quiet">inherits {rule.parent}</div>}
          </>,
          rule.trust,
          `${rule.permissions.join(', ')}, ${rule.lifetimeSeconds / 60} min`,
          reaches(me, rule.trust) ? (
            <span className="buttons">
              <button type="button" aria-label={`Change ${rule.name}`} onClick={() => setEdited(rule)}>
                Change
              </button>
              <button
                type="button"
                aria-label={`Remove ${rule.name}`}
                onClick={() => {
                  const ask = `Remove the rule ${rule.name}? Jobs get no tokens by it any more; those that have one keep it to its end.`;
                  if (window.confirm(ask)) remove.mutate(rule.id);
                }}
              >
                Remove
              </button>
            </span>
          ) : (
            <OutOfReach me={me} trust={rule.trust} />
          ),
        ]}
        empty="No CI system is trusted by its id tokens; jobs need a token."
      />
    </>
  );
}

const Claims = ({ of }: { readonly of: TrustRule }) =>
  Object.entries(of.claims).map(([claim, value]) => (
    <div key={claim}>
      <code>
        {claim}: {[value].flat().join(' | ')}
      </code>
    </div>
  ));
