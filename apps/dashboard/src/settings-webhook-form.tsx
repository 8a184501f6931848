import { useState } from 'react';
import { BuildHookEvent, type WebhookChangeInput, type WebhookView } from '#protocol';
import { farm } from './farm.ts';
import { Checks, faultsOf, Field, FormPanel } from './settings-form.tsx';
import { useChange } from './settings-list.tsx';

interface WebhookFormProps {
  readonly project: string;
  readonly hook: WebhookView;
  readonly onClose: () => void;
}

const fields = ['name', 'url', 'events'];

/** Where a webhook is sent, and of what it tells. */
export function WebhookForm({ project, hook, onClose }: WebhookFormProps) {
  const [name, setName] = useState(hook.name ?? '');
  const [url, setUrl] = useState(hook.url);
  const [events, setEvents] = useState<readonly BuildHookEvent[]>(hook.events);
  const change = useChange('Webhooks', (request: WebhookChangeInput) =>
    farm.access.changeWebhook(project, hook.id, request),
  );
  const faults = faultsOf(change.error);
  const moved = URL.canParse(url) && new URL(url).origin !== new URL(hook.url).origin;
  const submit = (): void => {
    if (events.length === 0) return;
    const ask = `Send what is told of ${project} to ${url}? It is signed with the secret that ${hook.url} knows, too.`;
    if (moved && !window.confirm(ask)) return;
    change.mutate({ name: name === '' ? null : name, url, events: [...events] }, { onSuccess: onClose });
  };
  return (
    <FormPanel
      title={`Change ${hook.name ?? hook.url}`}
      submit="Save webhook"
      busy={change.isPending}
      error={fields.some((field) => faults[field] !== undefined) ? undefined : change.error}
      onSubmit={submit}
      onCancel={onClose}
    >
      <Field label="Name" hint="for people; may be left out" fault={faults['name']}>
        {(wiring) => (
          <input {...wiring} autoFocus value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <Field
        whole
        label="URL"
        hint="Private addresses are reached only where the farm’s KILN_WEBHOOK_ALLOW has them."
        fault={faults['url']}
      >
        {(wiring) => (
          <input
            {...wiring}
            required
            value={url}
            onChange={(event) => {
              setUrl(event.target.value);
              change.reset();
            }}
          />
        )}
      </Field>
      <Checks
        legend="Is told of"
        options={BuildHookEvent.options}
        chosen={events}
        fault={events.length === 0 ? 'choose one at least; Switch off sends nothing' : faults['events']}
        onChange={setEvents}
      />
    </FormPanel>
  );
}
