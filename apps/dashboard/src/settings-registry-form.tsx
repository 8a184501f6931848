import { useState } from 'react';
import { type MeView, RegistryHost, RegistryRequest, type RegistryView } from '#protocol';
import { farm } from './farm.ts';
import { Choice, type Faults, faultsOf, Field, FormPanel } from './settings-form.tsx';
import { useChange } from './settings-list.tsx';
import { trustsWithin } from './settings-rights.tsx';

interface RegistryFormProps {
  readonly me: MeView;
  /** those that are replaced; none for new ones */
  readonly kept: RegistryView | undefined;
  readonly onClose: () => void;
}

const kinds = ['name and password', 'identity token'] as const;
const fields = ['host', 'username', 'password', 'identityToken', 'minimumTrust'];

/** Credentials go in here and never come out again. */
export function RegistryForm({ me, kept, onClose }: RegistryFormProps) {
  const trusts = trustsWithin(me).filter((trust) => trust !== 'fork');
  const [host, setHost] = useState(kept?.host ?? '');
  const [kind, setKind] = useState<(typeof kinds)[number]>(kinds[kept?.username === null ? 1 : 0]);
  const [username, setUsername] = useState(kept?.username ?? '');
  const [secret, setSecret] = useState('');
  const [minimumTrust, setMinimumTrust] = useState(
    trusts.find((trust) => trust === (kept?.minimumTrust ?? 'protected')) ?? trusts.at(-1),
  );
  const [told, setTold] = useState<Faults>({});
  const put = useChange('Registries', (request: RegistryRequest) => farm.access.putRegistry(host, request));
  const refused = faultsOf(put.error);
  const faults = { ...refused, ...told };
  const ofToken = kind === 'identity token';
  const submit = (): void => {
    put.reset();
    const named = RegistryHost.safeParse(host);
    if (!named.success) return setTold({ host: `${named.error.issues[0]?.message ?? ''}, such as ghcr.io` });
    setTold({});
    const request = { ...(ofToken ? { identityToken: secret } : { username, password: secret }), minimumTrust };
    put.mutate(RegistryRequest.parse(request), { onSuccess: onClose });
  };
  if (minimumTrust === undefined)
    return <p className="notice">Your scope is trusted as fork: no build of it gets credentials, and it gives none.</p>;
  return (
    <FormPanel
      title={kept === undefined ? 'New credentials' : `Replace the credentials for ${kept.host}`}
      submit={kept === undefined ? 'Keep credentials' : 'Replace credentials'}
      busy={put.isPending}
      error={fields.some((name) => refused[name] !== undefined) ? undefined : put.error}
      onSubmit={submit}
      onCancel={onClose}
    >
      {kept === undefined && (
        <Field
          label="Registry"
          hint="its host, with the port where it has one; docker.io is Docker Hub"
          fault={faults['host']}
        >
          {(wiring) => (
            <input
              {...wiring}
              autoFocus
              required
              placeholder="ghcr.io"
              value={host}
              onChange={(event) => {
                setHost(event.target.value.trim());
                setTold({});
              }}
            />
          )}
        </Field>
      )}
      <Field label="Log in by" fault={undefined}>
        {(wiring) => <Choice {...wiring} options={kinds} value={kind} onChange={setKind} />}
      </Field>
      {!ofToken && (
        <Field label="User" fault={faults['username']}>
          {(wiring) => (
            <input
              {...wiring}
              required
              maxLength={255}
              autoComplete="off"
              value={username}
              onChange={(event) => setUsername(event.target.value)}
            />
          )}
        </Field>
      )}
      <Field
        label={ofToken ? 'Identity token' : 'Password or access token'}
        hint="sealed with the farm’s key, and never shown again"
        fault={faults[ofToken ? 'identityToken' : 'password']}
      >
        {(wiring) => (
          <input
            {...wiring}
            type="password"
            required
            maxLength={16_384}
            autoComplete="new-password"
            value={secret}
            onChange={(event) => setSecret(event.target.value)}
          />
        )}
      </Field>
      <Field label="For scopes trusted at least as" hint="a fork’s builds never get any" fault={faults['minimumTrust']}>
        {(wiring) => <Choice {...wiring} options={trusts} value={minimumTrust} onChange={setMinimumTrust} />}
      </Field>
    </FormPanel>
  );
}
