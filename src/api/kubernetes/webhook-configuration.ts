import { type Infer, list, object, string, withDefault } from '../schema.ts';
import { kubernetesLabelSelector } from './common.ts';

const webhook = object(
  {
    name: withDefault(string(), ''),
    clientConfig: object(
      {
        url: string(),
        service: object({ name: withDefault(string(), ''), namespace: withDefault(string(), '') }, { open: true }),
      },
      { open: true },
    ),
    namespaceSelector: kubernetesLabelSelector,
    objectSelector: kubernetesLabelSelector,
  },
  { open: true },
);
export type Webhook = Infer<typeof webhook>;

/** Of MutatingWebhookConfiguration and ValidatingWebhookConfiguration, which are alike in what is read here. */
export const webhookConfiguration = object({ webhooks: list(webhook) });
export type WebhookConfiguration = Infer<typeof webhookConfiguration>;
