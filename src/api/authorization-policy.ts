import { policyTargets } from './common.ts';
import { enumeration, type Infer, list, object, required, string, withDefault } from './schema.ts';

const strings = list(string());
const serviceAccounts = list(string({ maxLength: 320 }), { maxItems: 16 });

const source = object({
  principals: strings,
  notPrincipals: strings,
  requestPrincipals: strings,
  notRequestPrincipals: strings,
  namespaces: strings,
  notNamespaces: strings,
  ipBlocks: strings,
  notIpBlocks: strings,
  remoteIpBlocks: strings,
  notRemoteIpBlocks: strings,
  serviceAccounts,
  notServiceAccounts: serviceAccounts,
  trustDomains: strings,
  notTrustDomains: strings,
});
export type AuthorizationSource = Infer<typeof source>;

const operation = object({
  hosts: strings,
  notHosts: strings,
  ports: strings,
  notPorts: strings,
  methods: strings,
  notMethods: strings,
  paths: strings,
  notPaths: strings,
});
export type AuthorizationOperation = Infer<typeof operation>;

const condition = object({ key: required(string()), values: strings, notValues: strings });
export type AuthorizationCondition = Infer<typeof condition>;

const rule = object({
  from: list(object({ source }), { maxItems: 512 }),
  to: list(object({ operation })),
  when: list(condition),
});
export type AuthorizationRule = Infer<typeof rule>;

/** Who may do what with a workload; without rules it matches nothing. */
export const authorizationPolicy = object({
  ...policyTargets,
  rules: list(rule, { maxItems: 512 }),
  action: withDefault(enumeration('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'), 'ALLOW'),
  provider: object({ name: withDefault(string(), '') }),
});
export type AuthorizationPolicy = Infer<typeof authorizationPolicy>;
