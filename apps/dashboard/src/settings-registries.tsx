import { useState } from 'react';
import type { MeView, RegistryView } from '#protocol';
import { farm } from './farm.ts';
import { Failure, Time } from './parts.tsx';
import { Listed, useChange } from './settings-list.tsx';
import { RegistryForm } from './settings-registry-form.tsx';
import { mayAdminister, NotYours, OutOfReach, reaches } from './settings-rights.tsx';

/** Whom builds log in as that bring no credentials of their own. */
export function Registries({ me }: { readonly me: MeView }) {
  // null: none is written; undefined: new ones.
  const [edited, setEdited] = useState<RegistryView | undefined | null>(null);
  const remove = useChange('Registries', (host: string) => farm.access.removeRegistry(host));
  if (!mayAdminister(me)) return <NotYours me={me} what="credentials of registries" />;
  return (
    <>
      {edited === null ? (
        <p>
          <button type="button" onClick={() => setEdited(undefined)}>
            New credentials
          </button>{' '}
          <span className="quiet">Builds that bring none of their own log in with these.</span>
        </p>
      ) : (
        <RegistryForm key={edited?.host ?? ''} me={me} kept={edited} onClose={() => setEdited(null)} />
      )}
      {remove.error !== null && <Failure error={remove.error} />}
      <Listed
        name="Registries"
        load={(signal) => farm.access.registries(signal)}
        heads={['Host', 'User', 'For scopes trusted as', 'Since', '']}
        keyOf={({ host }) => host}
        row={(registry) => {
          const { host, username, minimumTrust, updatedAt } = registry;
          return [
            host,
            username ?? 'identity token',
            `${minimumTrust} or further`,
            <Time at={updatedAt} />,
            reaches(me, minimumTrust) ? (
              <span className="buttons">
                <button type="button" aria-label={`Replace ${host}`} onClick={() => setEdited(registry)}>
                  Replace
                </button>
                <button
                  type="button"
                  aria-label={`Remove ${host}`}
                  onClick={() => {
                    const ask = `Forget the credentials for ${host}? Builds that need them fail from now on, and they cannot be brought back.`;
                    if (window.confirm(ask)) remove.mutate(host);
                  }}
                >
                  Remove
                </button>
              </span>
            ) : (
              <OutOfReach me={me} trust={minimumTrust} />
            ),
          ];
        }}
        empty="The project keeps no credentials of registries; builds bring their own."
      />
    </>
  );
}
