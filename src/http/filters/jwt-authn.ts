/** Verifies JSON Web Tokens (`envoy.filters.http.jwt_authn`). */
import {
  type JwtAuthentication,
  type JwtRequirement,
  PerRouteConfigSchema,
  type RequirementRule,
} from '../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import type { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import { type Accepted, compileProvider, judgedByKeys, MISSING, type Provider, UNKNOWN_ISSUER, WRONG_AUDIENCE } from '../jwt/provider.ts';
import type { DynamicMetadata } from '../rbac/subject.ts';
import { withMetadata } from '../rbac/subject.ts';
import { compileHeaderMatchers, type HeaderPredicate } from '../routes/header.ts';
import { compilePath, withoutQuery } from '../routes/path.ts';
import { CERTAIN, type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

/** Where the claims are noted, whatever the filter is called. */
const NAMESPACE = 'envoy.filters.http.jwt_authn';

/** Tokens that were found valid, or why the requirement is not met. */
type Outcome = readonly Accepted[] | string;
type Requirement = (request: JudgedRequest) => Outcome;

interface Rule {
  readonly matches: (head: Head) => boolean;
  readonly requires: Requirement;
}

export class JwtAuthnFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #rules: readonly Rule[];
  readonly #ownFields: readonly string[];
  readonly #unknown: readonly Provider[];
  readonly #bypassesPreflights: boolean;

  /** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
  constructor(name: string, config: JwtAuthentication, where: string) {
    this.name = name;
    if (config.filterStateRules) unsupported(`${where}.filter_state_rules`, 'not supported');
    const providers = new Map(
      Object.entries(config.providers).map(([key, each]) => [key, compileProvider(each, `${where}.providers["${key}"]`)]),
    );
    const compile = { providers, map: config.requirementMap, where };
    this.#rules = config.rules.map((rule) => ({ matches: compileMatch(rule, where), requires: ruleRequirement(rule, compile) }));
    this.#ownFields = [...new Set([...providers.values()].flatMap(({ ownFields }) => ownFields))];
    this.#unknown = [...providers.values()].filter(({ unknownKeys }) => unknownKeys !== undefined);
    this.#bypassesPreflights = config.bypassCorsPreflight;
  }

  judge(request: JudgedRequest): Judgement {
    const { head, route } = request;
    const perRoute = route?.filterConfig(this.name, PerRouteConfigSchema, head);
    if (perRoute === 'disabled' || (this.#bypassesPreflights && isPreflight(head))) return PASS;
    const rule =
      perRoute === undefined ? this.#rules.find(({ matches }) => matches(head)) : unsupported(this.name, 'per-route requirements');
    if (!rule) return PASS;
    const outcome = rule.requires(request);
    const own = this.#ownFields;
    const undecided = this.#undecided(request);
    if (typeof outcome === 'string') return { ...refused(head, outcome, request), undecided };
    return {
      ...PASS,
      ...metadataOf(outcome),
      undecided,
      reroutes: outcome.some(({ reroutes }) => reroutes),
      ...((own.length > 0 || outcome.some(({ edit }) => edit !== undefined)) && {
        edit(head: Head) {
          const { headers } = head;
          head.edited = true;
          for (const field of own) headers.remove(field);
          for (const { edit } of outcome) edit?.(headers);
        },
      }),
    };
  }

  #undecided({ head, now }: JudgedRequest): Judgement['undecided'] {
    const unknown = this.#unknown.find((each) => judgedByKeys(each, head, now));
    return (
      unknown && {
        why: `the token is judged by keys that its issuer (${unknown.unknownKeys}) publishes, which are fetched when a proxy runs and are not known here`,
      }
    );
  }

  run(stream: FilterStream): FilterStatus {
    const { answer, metadata, edit, reroutes } = this.judge(stream);
    if (metadata) stream.note(metadata);
    edit?.(stream.head);
    if (reroutes) stream.reroute();
    if (!answer) return 'continue';
    stream.reply(answer.reply);
    return 'stop';
  }
}

function metadataOf(outcome: readonly Accepted[]): Pick<Judgement, 'metadata'> {
  let metadata: DynamicMetadata | undefined;
  for (const token of outcome) if (token.metadata) metadata = withMetadata(metadata, { [NAMESPACE]: token.metadata });
  return metadata ? { metadata } : {};
}

function isPreflight({ method, headers }: Head): boolean {
  return method === 'OPTIONS' && (headers.get('origin') ?? '') !== '' && (headers.get('access-control-request-method') ?? '') !== '';
}

/** What a client sees that brings no token, or a wrong one. */
function refused(head: Head, why: string, { open }: JudgedRequest): Judgement {
  const realm = `${head.scheme}://${head.authority}${head.path.slice(0, 256)}`;
  const error = why === MISSING ? '' : ', error="invalid_token"';
  const reply = {
    status: why === WRONG_AUDIENCE ? 403 : 401,
    body: why,
    details: `jwt_authn_access_denied{${why.replaceAll(' ', '_')}}`,
    headers: new HeaderMap(['www-authenticate', `Bearer realm="${realm}"${error}`]),
    ofRoute: 'forward',
  } as const;
  // Other calls may bring other tokens.
  return { ...PASS, answer: { reply, chance: CERTAIN, because: () => `the token is refused: ${why}`, always: open === undefined } };
}

interface Compile {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly map: Readonly<Record<string, JwtRequirement>>;
  readonly where: string;
}

function compileMatch({ match }: RequirementRule, where: string): (head: Head) => boolean {
  if (!match) return unsupported(`${where}.rules`, 'a rule without a match is not supported');
  if (match.queryParameters.length > 0 || match.dynamicMetadata.length > 0)
    unsupported(`${where}.rules`, 'only paths and headers are matched');
  const path = compilePath(match);
  const headers: HeaderPredicate | undefined = compileHeaderMatchers(match.headers);
  return (head) => path.test(withoutQuery(head.path)) && (headers === undefined || headers(head));
}

function ruleRequirement({ requirementType }: RequirementRule, compile: Compile): Requirement {
  if (requirementType.case === 'requires') return requirement(requirementType.value, compile);
  if (requirementType.case === undefined) return () => [];
  const named = compile.map[requirementType.value];
  return named ? requirement(named, compile) : unsupported(`${compile.where}.rules`, `there is no requirement "${requirementType.value}"`);
}

function requirement({ requiresType }: JwtRequirement, compile: Compile): Requirement {
  switch (requiresType.case) {
    case 'providerName': {
      const provider = compile.providers.get(requiresType.value);
      if (!provider) return unsupported(`${compile.where}.rules`, `there is no provider "${requiresType.value}"`);
      return ({ head, now }) => {
        const outcome = provider.verify(head, now);
        return typeof outcome === 'string' ? outcome : [outcome];
      };
    }
    case 'requiresAny':
      return anyOf(requiresType.value.requirements, compile);
    case 'requiresAll':
      return allOf(requiresType.value.requirements.map((each) => requirement(each, compile)));
    case 'allowMissing':
      return (request) =>
        [...compile.providers.values()].every((each) => each.verify(request.head, request.now) === MISSING) ? [] : MISSING;
    case 'allowMissingOrFailed':
    case undefined:
      return () => [];
    default:
      return unsupported(`${compile.where}.rules`, `${requiresType.case} is not supported`);
  }
}

/** The first that is met. A token that is wrong counts for more than one of another issuer, and that for more than none. */
function anyOf(list: readonly JwtRequirement[], compile: Compile): Requirement {
  const lenient = list.some(({ requiresType }) => requiresType.case === 'allowMissing');
  const others = list.filter(({ requiresType }) => requiresType.case !== 'allowMissing').map((each) => requirement(each, compile));
  return (request) => {
    let why = MISSING;
    for (const requires of others) {
      const outcome = requires(request);
      if (typeof outcome !== 'string') return outcome;
      if (weight(outcome) >= weight(why)) why = outcome;
    }
    return lenient && why === MISSING ? [] : why;
  };
}

function weight(why: string): number {
  return why === MISSING ? 0 : why === UNKNOWN_ISSUER ? 1 : 2;
}

function allOf(list: readonly Requirement[]): Requirement {
  return (request) => {
    const accepted: Accepted[] = [];
    for (const requires of list) {
      const outcome = requires(request);
      if (typeof outcome === 'string') return outcome;
      accepted.push(...outcome);
    }
    return accepted;
  };
}
