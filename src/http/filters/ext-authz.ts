/** Asks an external authorizer about requests (`envoy.filters.http.ext_authz`). */
import { SallyportError } from '../../lib/errors.ts';
import {
  type ExtAuthz,
  type ExtAuthzPerRoute,
  ExtAuthzPerRouteSchema,
} from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import type { Check, CheckedBody, CheckVerdict } from '../ext-authz/check.ts';
import { compileGrpcCheck } from '../ext-authz/grpc-check.ts';
import { compileHttpCheck, compileNames } from '../ext-authz/http-check.ts';
import { whoAsks } from '../ext-authz/who-asks.ts';
import type { DynamicMetadata } from '../rbac/subject.ts';
import { compileMetadataMatcher } from '../rbac/value.ts';
import { compileRuntimeFraction } from '../routes/fraction.ts';
import { type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

/** Where what the authorizer says is noted, whatever the filter is called. */
const NAMESPACE = 'envoy.filters.http.ext_authz';
const FORBIDDEN = 403;

export class ExtAuthzFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #config: ExtAuthz;
  readonly #check: Check;
  readonly #enabled: (random: number) => boolean;
  readonly #asksAbout: (metadata: DynamicMetadata | undefined) => boolean;

  /** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
  constructor(name: string, config: ExtAuthz, where: string) {
    this.name = name;
    this.#config = config;
    refuseUnknown(config, where);
    this.#check = compileCheck(config, where);
    this.#enabled = config.filterEnabled ? compileRuntimeFraction(config.filterEnabled) : () => true;
    this.#asksAbout = config.filterEnabledMetadata ? compileMetadataMatcher(config.filterEnabledMetadata) : () => true;
  }

  judge(request: JudgedRequest): Judgement {
    return this.#asks(request)
      ? { ...PASS, undecided: whoAsks(this.#config.filterEnabledMetadata, request.metadata, this.#check.cluster) }
      : PASS;
  }

  run(stream: FilterStream): FilterStatus {
    if (!this.#asks(stream)) return 'continue';
    const body = this.#config.withRequestBody;
    const { head } = stream;
    if (!body || head.upgrade !== '' || !head.hasBody) this.#ask(stream, undefined);
    else stream.readBody(body.maxRequestBytes, body.allowPartialMessage, (bytes, partial) => this.#ask(stream, { bytes, partial }));
    return 'stop';
  }

  #asks({ head, route, metadata }: JudgedRequest): boolean {
    const perRoute = route?.filterConfig(this.name, ExtAuthzPerRouteSchema, head);
    if (perRoute === 'disabled' || isDisabled(perRoute, this.name)) return false;
    return this.#enabled(head.random) && this.#asksAbout(metadata);
  }

  #ask(stream: FilterStream, body: CheckedBody | undefined): void {
    const { head, client, record, now } = stream;
    const call = this.#check.call({ head, connection: client, record, startTime: now, body });
    stream.ask(call, (answer) => this.#answered(stream, this.#check.read(answer)));
  }

  #answered(stream: FilterStream, verdict: CheckVerdict): void {
    const { failureModeAllow, failureModeAllowHeaderAdd, statusOnError, clearRouteCache } = this.#config;
    if (verdict.kind !== 'error' && verdict.metadata) stream.note({ [NAMESPACE]: verdict.metadata });
    switch (verdict.kind) {
      case 'allowed':
        verdict.edit?.(stream.head);
        if (verdict.edit) stream.head.edited = true;
        if (verdict.mark) stream.onResponse(verdict.mark);
        if (clearRouteCache && verdict.edit) stream.reroute();
        stream.proceed();
        break;
      case 'denied': {
        const { status, body, headers } = verdict;
        if (body.length === 0) headers.remove('content-type');
        stream.reply({ status, body, headers, details: 'ext_authz_denied', flag: 'UAEX', ofRoute: 'forward' });
        break;
      }
      case 'error':
        if (failureModeAllow) {
          if (failureModeAllowHeaderAdd) stream.head.headers.append('x-envoy-auth-failure-mode-allowed', 'true');
          stream.proceed();
        } else {
          const status = statusOnError?.code || FORBIDDEN;
          stream.reply({ status, body: '', details: 'ext_authz_error', flag: 'UAEX', ofRoute: 'forward' });
        }
    }
  }
}

function compileCheck({ services, allowedHeaders, disallowedHeaders, withRequestBody, includeTlsSession }: ExtAuthz, where: string): Check {
  const allowed = compileNames(allowedHeaders);
  const refused = compileNames(disallowedHeaders);
  switch (services.case) {
    case 'httpService':
      return compileHttpCheck(services.value, (name) => allowed(name) && !refused(name), where);
    case 'grpcService': {
      // Over gRPC everything is told, unless a list says what.
      const tells = (name: string) => (!allowedHeaders || allowed(name)) && !refused(name);
      return compileGrpcCheck(services.value, { tells, packAsBytes: withRequestBody?.packAsBytes ?? false, includeTlsSession, where });
    }
    default:
      throw new SallyportError('xds-invalid', `${where}: names no service`);
  }
}

/** What Envoy does with these would be left out otherwise. */
function refuseUnknown(config: ExtAuthz, where: string): void {
  const lacking: readonly (readonly [string, boolean])[] = [
    ['validate_mutations', config.validateMutations],
    ['metadata_context_namespaces', config.metadataContextNamespaces.length > 0],
    ['typed_metadata_context_namespaces', config.typedMetadataContextNamespaces.length > 0],
    ['route_metadata_context_namespaces', config.routeMetadataContextNamespaces.length > 0],
    ['route_typed_metadata_context_namespaces', config.routeTypedMetadataContextNamespaces.length > 0],
    ['deny_at_disable', config.denyAtDisable !== undefined],
    ['include_peer_certificate', config.includePeerCertificate],
    ['bootstrap_metadata_labels_key', config.bootstrapMetadataLabelsKey !== ''],
    ['encode_raw_headers', config.encodeRawHeaders],
    ['decoder_header_mutation_rules', config.decoderHeaderMutationRules !== undefined],
  ];
  for (const [field, given] of lacking) if (given) unsupported(`${where}.${field}`, 'not supported');
}

function isDisabled(config: ExtAuthzPerRoute | undefined, name: string): boolean {
  if (config?.override.case === 'checkSettings') unsupported(name, 'check_settings of a route are not supported');
  return config?.override.case === 'disabled' && config.override.value;
}
