import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import type { MeView, TrustRule, TrustRuleRequest } from '#protocol';
import { farm } from './farm.ts';
import { Checks, Choice, type Faults, faultsOf, Field, FormPanel } from './settings-form.tsx';
import { useChange } from './settings-list.tsx';
import { reaches, trustsWithin } from './settings-rights.tsx';
import { TrustRuleTrial } from './settings-trust-rule-trial.tsx';
import { draftFrom, draftOf, ruleOf, sentenceOf, type TrustRuleDraft } from './trust-rule-draft.ts';
import { type TrustRulePreset, trustRulePresets } from './trust-rule-presets.ts';

interface TrustRuleFormProps {
  readonly me: MeView;
  /** which is changed; none for a new one */
  readonly rule: TrustRule | undefined;
  readonly onClose: () => void;
}

const fields = ['name', 'issuer', 'audience', 'claims', 'scope', 'parent', 'trust', 'permissions', 'lifetimeSeconds'];
const may: TrustRuleDraft['permissions'] = ['build', 'read'];

/** A rule is written here, and says what it comes to while it is. */
export function TrustRuleForm({ me, rule, onClose }: TrustRuleFormProps) {
  const [draft, setDraft] = useState<TrustRuleDraft>(() => (rule === undefined ? fresh(me) : draftOf(rule)));
  const [told, setTold] = useState<Faults>({});
  const save = useChange('Trust rules', (request: TrustRuleRequest) =>
    rule === undefined ? farm.access.createTrustRule(request) : farm.access.replaceTrustRule(rule.id, request),
  );
  const scopes = useQuery({
    queryKey: ['settings', 'scopes'],
    queryFn: ({ signal }) => farm.access.scopes({ limit: 100, signal }),
  });
  const scopeList = useId();
  const drafted = ruleOf(draft);
  const faults = { ...faultsOf(save.error), ...told };
  const shown = fields.some((name) => faultsOf(save.error)[name] !== undefined);
  const change = (more: Partial<TrustRuleDraft>): void => {
    setDraft((before) => ({ ...before, ...more }));
    setTold({});
    save.reset();
  };
  const submit = (): void => {
    if ('faults' in drafted) setTold(drafted.faults);
    else save.mutate(drafted.rule, { onSuccess: onClose });
  };
  const text = (name: 'name' | 'issuer' | 'audience' | 'scope' | 'parent' | 'minutes') => ({
    value: draft[name],
    onChange: (event: { readonly target: { readonly value: string } }) => change({ [name]: event.target.value }),
  });
  return (
    <FormPanel
      title={rule === undefined ? 'New trust rule' : `Change ${rule.name}`}
      submit={rule === undefined ? 'Create rule' : 'Save rule'}
      busy={save.isPending}
      error={shown ? undefined : save.error}
      onSubmit={submit}
      onCancel={onClose}
    >
      {rule === undefined && <Preset onChoose={(preset) => change(draftFrom(preset, draft, me))} />}
      <Field label="Name" fault={faults['name']}>
        {(wiring) => <input {...wiring} {...text('name')} required />}
      </Field>
      <Field label="Issuer" hint="iss of the id token" fault={faults['issuer']}>
        {(wiring) => <input {...wiring} {...text('issuer')} placeholder="https://…" required />}
      </Field>
      <Field
        label="Audience"
        hint="aud that the job asks for; the farm’s address unless you choose another"
        fault={faults['audience']}
      >
        {(wiring) => <input {...wiring} {...text('audience')} required />}
      </Field>
      <Field
        whole
        label="Claims"
        hint="One a line, as “claim: value”; * is any text, ? one character, and of several lines of one claim any fits. One has to say whose the token is, such as repository."
        fault={faults['claims']}
      >
        {(wiring) => (
          <textarea
            {...wiring}
            rows={5}
            spellCheck={false}
            required
            value={draft.claims}
            onChange={(event) => change({ claims: event.target.value })}
          />
        )}
      </Field>
      <Field label="Scope" hint="claims in braces, such as branch/{ref}" fault={faults['scope']}>
        {(wiring) => <input {...wiring} {...text('scope')} required />}
      </Field>
      <Field label="Inherits" hint="what a scope that is made for it reads" fault={faults['parent']}>
        {(wiring) => <input {...wiring} {...text('parent')} list={scopeList} placeholder="nothing" />}
      </Field>
      <datalist id={scopeList}>
        {scopes.data?.scopes.map(({ name }) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <Field label="Trusted at most as" hint={`no further than your own scope, ${me.trust}`} fault={faults['trust']}>
        {(wiring) => (
          <Choice {...wiring} options={trustsWithin(me)} value={draft.trust} onChange={(trust) => change({ trust })} />
        )}
      </Field>
      <Field label="Tokens live, in minutes" fault={faults['lifetimeSeconds']}>
        {(wiring) => <input {...wiring} {...text('minutes')} type="number" min={1} max={1_440} step="any" required />}
      </Field>
      <Checks
        legend="May"
        options={may}
        chosen={draft.permissions}
        fault={faults['permissions']}
        onChange={(permissions) => change({ permissions })}
      />
      {'rule' in drafted && <p className="whole">{sentenceOf(drafted.rule)}</p>}
      <TrustRuleTrial draft={draft} />
    </FormPanel>
  );
}

const fresh = (me: MeView): TrustRuleDraft => ({
  ...{ name: '', issuer: '', claims: '', scope: '', parent: me.scope, minutes: '60' },
  audience: window.location.origin,
  trust: reaches(me, 'branch') ? 'branch' : me.trust,
  permissions: may,
});

const systems = [...new Set(trustRulePresets.map(({ system }) => system))];

function Preset({ onChoose }: { readonly onChoose: (preset: TrustRulePreset) => void }) {
  return (
    <Field label="Begin with" fault={undefined}>
      {(wiring) => (
        <select
          {...wiring}
          autoFocus
          onChange={({ target }) => {
            const preset = trustRulePresets.find(({ id }) => id === target.value);
            if (preset !== undefined) onChoose(preset);
          }}
        >
          <option value="">nothing</option>
          {systems.map((system) => (
            <optgroup key={system} label={system}>
              {trustRulePresets
                .filter((preset) => preset.system === system)
                .map(({ id }) => (
                  <option key={id} value={id}>
                    {id}
                  </option>
                ))}
            </optgroup>
          ))}
        </select>
      )}
    </Field>
  );
}
