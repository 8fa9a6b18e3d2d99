/**
 * Puts credentials into requests that leave for the host that they are for (`sallyport.filters.http.credentials`; what goes where stands at the virtual host). What
 * it adds is written as the request goes out and stands in no head, so that neither logs nor spans nor filters see it.
 */
import type { Redacted } from '../../lib/redacted.ts';
import type { Cluster } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { bindingOf } from '../../xds/match/binding.ts';
import { type CredentialRule, credentialRules, placeText } from '../../xds/match/credentials.ts';
import {
  addressRefusal,
  clusterRefusal,
  concerns,
  type Destined,
  hideCredentials,
  type Injected,
  leavesPlace,
  overriding,
} from '../credentials.ts';
import { HeaderMap } from '../header-map.ts';
import type { LocalReply } from '../local-reply.ts';
import { hashed, payloadOf } from '../sigv4.ts';
import { CERTAIN, type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

/** What a request is to get, of whom it is to be asked, or why it can't be had. */
type Found = { readonly rules: readonly CredentialRule[]; readonly host: string } | { readonly refused: string; readonly always: boolean };

export class CredentialsFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;

  constructor(name: string) {
    this.name = name;
  }

  judge(request: JudgedRequest): Judgement {
    const found = credentialsFor(request);
    if (!found) return PASS;
    const origins = request.route?.origins ?? [];
    if ('refused' in found) {
      const because = () => `refuses the request: ${found.refused}`;
      return {
        ...PASS,
        answer: { reply: credentialReply(403, 'refused', found.refused), chance: CERTAIN, because, always: found.always, origins },
      };
    }
    const { rules, host } = found;
    const texts = rules.map((rule) => `puts ${whatIs(rule)} into ${placeText(rule)} as the request leaves for ${host}`);
    const values = rules.map((rule) => ({ name: rule.name, lacking: lackingReply(rule, host) }));
    return { ...PASS, injects: { host, policy: rules.some(({ policy }) => policy), texts, values } };
  }

  run(stream: FilterStream): FilterStatus {
    const found = credentialsFor(stream);
    if (!found) return 'continue';
    if ('refused' in found) {
      stream.reply(credentialReply(403, 'refused', found.refused));
      return 'stop';
    }
    return gather(stream, found.rules, found.host);
  }
}

function whatIs({ name, token }: CredentialRule): string {
  return token ? `an access token of ${token.endpoint}, asked for as credential ${name},` : `credential ${name}`;
}

/** Undefined where the request gets none. */
function credentialsFor({ head, route }: Pick<JudgedRequest, 'head' | 'route'>): Found | undefined {
  if (route?.action.kind !== 'forward') return undefined;
  const { metadata } = route.virtualHost.config;
  const all = credentialRules(metadata);
  if (all === 'broken') return { refused: 'what is to be injected is not understood', always: true };
  const rules = all.filter((rule) => concerns(rule, head) && leavesPlace(rule, head));
  if (rules.length === 0) return undefined;
  const binding = bindingOf(metadata);
  const [host] = binding?.hosts ?? [];
  if (binding?.mode !== 'enforce' || host === undefined || host.startsWith('*'))
    return { refused: 'a credential goes to a bound destination alone (bind: enforce)', always: false };
  // Its answer is the request.
  if (head.method === 'TRACE') return { refused: 'a credential does not go with TRACE, which has it sent back', always: false };
  for (const rule of rules) {
    const payload = rule.signing && payloadOf(rule.signing, head);
    if (typeof payload === 'object' && 'refused' in payload)
      return { refused: `the request cannot be signed: ${payload.refused}`, always: false };
    const field = overriding(rule, head.headers);
    if (field) return { refused: `the server may read another method or path in ${field} than the credential is for`, always: false };
  }
  return { rules, host };
}

/** Asks for each in turn; what cannot be had refuses the request. */
function gather(stream: FilterStream, rules: readonly CredentialRule[], host: string): FilterStatus {
  const injected: Injected[] = [];
  let asking = true;
  const next = (): FilterStatus => {
    const rule = rules[injected.length];
    if (!rule) {
      stream.injected = injected;
      stream.onResponse((headers: HeaderMap) => hideCredentials(headers, injected));
      if (!asking) stream.proceed();
      return 'continue';
    }
    let status: FilterStatus = 'stop';
    stream.credential(rule, host, (value: Redacted | undefined) => {
      if (value === undefined) {
        stream.reply(lackingReply(rule, host));
        return;
      }
      payloadFor(stream, rule, (payload) => {
        injected.push({ rule, value, host, policy: rule.policy, ...(payload !== undefined && { payload }) });
        status = next();
      });
    });
    return status;
  };
  const status = next();
  asking = false;
  return status;
}

/** Bytes of a body that is held until its end, as its hash stands before it. */
const MOST_SIGNED = 8 * 1024 * 1024;

/** What stands for the body in a signature; undefined where there is none. A longer body than may be held is answered 413. */
function payloadFor(stream: FilterStream, { signing }: CredentialRule, done: (payload: string | undefined) => void): void {
  const payload = signing && payloadOf(signing, stream.head);
  if (payload === 'body') stream.readBody(MOST_SIGNED, false, (body) => done(hashed(body)));
  else done(payload && 'hash' in payload ? payload.hash : undefined);
}

/** The answer to a request that a route leads elsewhere than its credentials may go. */
export function strayReply(injected: readonly Destined[], cluster: Cluster): LocalReply | undefined {
  const why = clusterRefusal(injected, cluster);
  return why === undefined ? undefined : credentialReply(403, 'refused', why);
}

/** The answer to one that would go to an address to which credentials may not go by this cluster. */
export function exposedReply(injected: readonly Destined[], cluster: Cluster, ip: string): LocalReply | undefined {
  const why = addressRefusal(injected, cluster, ip);
  return why === undefined ? undefined : credentialReply(403, 'refused', why);
}

/** The answer to a request whose credential can not be had. */
function lackingReply(rule: CredentialRule, host: string): LocalReply {
  return credentialReply(503, 'unavailable', `the credential ${rule.name} for ${host} (${placeText(rule)}) cannot be had`);
}

/** @param what one word, and why: a clause that holds no value */
function credentialReply(status: number, what: 'refused' | 'unavailable', why: string): LocalReply {
  return {
    status,
    body: `sallyport: refused: ${why}`,
    details: `credential_${what}{${why.replace(/\s+/g, '_')}}`,
    headers: new HeaderMap(['x-sallyport-refused', 'credential']),
  };
}
