import { enumeration, type Infer, list, object, required, string, withDefault } from '../schema.ts';
import { backendRefFields, headerModifier, hostnames, localObjectReference, parentRefs, requestMirror, sectionName } from './common.ts';
import { headerMatch } from './http-route.ts';

const grpcRouteMatch = object({
  method: object({
    type: withDefault(enumeration('Exact', 'RegularExpression'), 'Exact'),
    service: string({ maxLength: 1024 }),
    method: string({ maxLength: 1024 }),
  }),
  headers: list(headerMatch, { maxItems: 16 }),
});
export type GRPCRouteMatch = Infer<typeof grpcRouteMatch>;

const grpcRouteFilter = object({
  type: required(enumeration('ResponseHeaderModifier', 'RequestHeaderModifier', 'RequestMirror', 'ExtensionRef')),
  requestHeaderModifier: headerModifier,
  responseHeaderModifier: headerModifier,
  requestMirror,
  extensionRef: localObjectReference,
});

const filters = list(grpcRouteFilter, { maxItems: 16 });

const grpcRouteRule = object({
  name: sectionName(),
  matches: list(grpcRouteMatch, { maxItems: 64 }),
  filters,
  backendRefs: list(object({ ...backendRefFields, filters }), { maxItems: 16 }),
});
export type GRPCRouteRule = Infer<typeof grpcRouteRule>;

export const grpcRoute = object({ parentRefs, hostnames, rules: list(grpcRouteRule, { maxItems: 16 }) });
export type GRPCRoute = Infer<typeof grpcRoute>;
