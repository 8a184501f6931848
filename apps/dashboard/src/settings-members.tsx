import { type FormEvent, useState } from 'react';
import { type MemberView, type MeView, Role } from '#protocol';
import { farm } from './farm.ts';
import { Failure, Time } from './parts.tsx';
import { faultsOf, Field, FormPanel } from './settings-form.tsx';
import { Listed, useChange } from './settings-list.tsx';
import { ownsTeam } from './settings-rights.tsx';

/** The team; an owner of it takes people in, gives them roles and lets them go. */
export function Members({ me }: { readonly me: MeView }) {
  const [name, setName] = useState('');
  const [edited, setEdited] = useState<MemberView>();
  const put = useChange('Members', (member: Pick<MemberView, 'name' | 'role'>) =>
    farm.access.putMember(member.name, { role: member.role }),
  );
  const remove = useChange('Members', (who: string) => farm.access.removeMember(who));
  const owner = ownsTeam(me);
  const error = put.error ?? remove.error;
  const send = (event: FormEvent): void => {
    event.preventDefault();
    put.mutate({ name, role: 'developer' }, { onSuccess: () => setName('') });
  };
  return (
    <>
      {owner && (
        <form className="filters" onSubmit={send}>
          <input
            aria-label="Name of the new member"
            placeholder="name"
            required
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <button type="submit" disabled={put.isPending}>
            Add member
          </button>
        </form>
      )}
      {edited !== undefined && <MemberLogin key={edited.name} member={edited} onClose={() => setEdited(undefined)} />}
      {error !== null && <Failure error={error} />}
      <Listed
        name="Members"
        load={async (signal) => (await farm.access.members({ limit: 100, signal })).members}
        heads={['Name', 'Role', 'Signs in as', 'Since', '']}
        keyOf={(each) => each.name}
        row={(each) => [
          each.name,
          owner ? (
            <select
              aria-label={`Role of ${each.name}`}
              value={each.role}
              onChange={(event) => put.mutate({ name: each.name, role: Role.parse(event.target.value) })}
            >
              {Role.options.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </select>
          ) : (
            each.role
          ),
          <Login of={each} />,
          <Time at={each.createdAt} />,
          owner ? (
            <span className="buttons">
              <button type="button" aria-label={`E-mail of ${each.name}`} onClick={() => setEdited(each)}>
                E-mail
              </button>
              <button
                type="button"
                aria-label={`Remove ${each.name}`}
                onClick={() => {
                  const ask = `Remove ${each.name}? Their tokens end at once, and wherever they are signed in they are no more.`;
                  if (window.confirm(ask)) remove.mutate(each.name);
                }}
              >
                Remove
              </button>
            </span>
          ) : (
            ''
          ),
        ]}
        empty="The team has no members yet; tokens of the project are everybody’s."
      />
    </>
  );
}

const Login = ({ of: { email, subject } }: { readonly of: MemberView }) => (
  <>
    {email ?? <span className="quiet">a token alone</span>}
    {email !== null && subject === null && <div className="quiet">not yet</div>}
  </>
);

/** By which address a member signs in at the farm's issuer. */
function MemberLogin({ member, onClose }: { readonly member: MemberView; readonly onClose: () => void }) {
  const [email, setEmail] = useState(member.email ?? '');
  const put = useChange('Members', (to: string | null) => farm.access.putMember(member.name, { email: to }));
  const fault = faultsOf(put.error)['email'];
  return (
    <FormPanel
      title={`How ${member.name} signs in`}
      submit="Save"
      busy={put.isPending}
      error={fault === undefined ? put.error : undefined}
      onSubmit={() => put.mutate(email === '' ? null : email, { onSuccess: onClose })}
      onCancel={onClose}
    >
      <Field
        whole
        label="E-mail address"
        hint="As the issuer has verified it; whoever signs in with it first is this member from then on. Saving it ends what the member is signed in to. Empty: with tokens alone."
        fault={fault}
      >
        {(wiring) => (
          <input
            {...wiring}
            autoFocus
            type="email"
            value={email}
            onChange={(event) => {
              setEmail(event.target.value);
              put.reset();
            }}
          />
        )}
      </Field>
    </FormPanel>
  );
}
