/** Allows and denies requests by policies (`envoy.filters.http.rbac`). */
import type { PlacedOrigin } from '../../lib/origin.ts';
import { type RBAC, type RBACPerRoute, RBACPerRouteSchema } from '../../xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import { compileRbac, deniedDetails, type RbacEngine, type RbacVerdict } from '../rbac/engine.ts';
import { policyOrigins, refusalText } from '../rbac/policies.ts';
import { type DynamicMetadata, type RbacSubject, withMetadata } from '../rbac/subject.ts';
import { CERTAIN, type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

interface Engines {
  readonly enforced: RbacEngine | undefined;
  /** Whose verdict is only noted. */
  readonly shadow: RbacEngine | undefined;
  readonly shadowPrefix: string;
}

/** Where the verdict is noted, whatever the filter is called. */
const NAMESPACE = 'envoy.filters.http.rbac';

export class RbacFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #engines: Engines;
  readonly #where: string;
  readonly #byRoute = new WeakMap<RBACPerRoute, Engines>();

  /** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
  constructor(name: string, config: RBAC, where: string) {
    this.name = name;
    this.#where = where;
    this.#engines = compileEngines(config, where);
  }

  judge({ head, client, metadata, route, open }: JudgedRequest): Judgement {
    const perRoute = route?.filterConfig(this.name, RBACPerRouteSchema, head);
    if (perRoute === 'disabled') return PASS;
    const { enforced, shadow, shadowPrefix } = perRoute === undefined ? this.#engines : this.#ofRoute(perRoute);
    const subject = { head, connection: client, metadata };
    // Of a request that stands for others, a policy is noted that any of them may match: what asks an authorizer then asks of all.
    const noted = shadow && shadowNote(shadow.judge({ ...subject, open }), shadowPrefix);
    const verdict = enforced?.judge(subject);
    const made = verdict ? noteOf(verdict, noted) : noted;
    const judgement: Judgement = made ? { ...PASS, metadata: made } : PASS;
    return verdict?.allowed === false ? { ...judgement, answer: denied(enforced!, verdict, subject, open) } : judgement;
  }

  run(stream: FilterStream): FilterStatus {
    const { answer, metadata } = this.judge(stream);
    if (metadata) stream.note(metadata);
    if (!answer) return 'continue';
    stream.reply(answer.reply);
    return 'stop';
  }

  #ofRoute(config: RBACPerRoute): Engines {
    let engines = this.#byRoute.get(config);
    if (!engines) {
      // Without rules it lifts the filter's own.
      engines = config.rbac ? compileEngines(config.rbac, this.#where) : { enforced: undefined, shadow: undefined, shadowPrefix: '' };
      this.#byRoute.set(config, engines);
    }
    return engines;
  }
}

function compileEngines(config: RBAC, where: string): Engines {
  const { rules, shadowRules, matcher, shadowMatcher, shadowRulesStatPrefix } = config;
  if (matcher || shadowMatcher) unsupported(`${where}.matcher`, 'match trees are not supported; use rules');
  return {
    enforced: rules && compileRbac(rules, where),
    shadow: shadowRules && compileRbac(shadowRules, where),
    shadowPrefix: shadowRulesStatPrefix,
  };
}

function denied(engine: RbacEngine, verdict: RbacVerdict, subject: RbacSubject, open: JudgedRequest['open']): Judgement['answer'] {
  const reply = { status: 403, body: 'RBAC: access denied', details: deniedDetails(verdict), ofRoute: 'forward' } as const;
  const origins: readonly PlacedOrigin[] = policyOrigins(engine, verdict);
  const always = open !== undefined && engine.judge({ ...subject, open }).allowed === false;
  return { reply, chance: CERTAIN, because: () => refusalText(engine, verdict), always, origins };
}

function shadowNote({ allowed, policy }: RbacVerdict, prefix: string): DynamicMetadata {
  return {
    [NAMESPACE]: {
      ...(policy !== '' && { [`${prefix}shadow_effective_policy_id`]: policy }),
      [`${prefix}shadow_engine_result`]: allowed === true ? 'allowed' : 'denied',
    },
  };
}

/** Notes of verdicts alone: an engine has the same verdict for each call that the same policy matches. */
const NOTES = new WeakMap<RbacVerdict, DynamicMetadata>();

function noteOf(verdict: RbacVerdict, noted: DynamicMetadata | undefined): DynamicMetadata {
  if (noted) return withMetadata(noted, verdictNote(verdict));
  let note = NOTES.get(verdict);
  if (!note) {
    note = verdictNote(verdict);
    NOTES.set(verdict, note);
  }
  return note;
}

function verdictNote({ allowed, policy, logs }: RbacVerdict): DynamicMetadata {
  const result = { enforced_engine_result: allowed === true ? 'allowed' : 'denied' };
  const effective = { ...(policy !== '' && { enforced_effective_policy_id: policy }), ...result };
  return { [NAMESPACE]: effective, ...(logs !== undefined && { 'envoy.common': { access_log_hint: logs } }) };
}
