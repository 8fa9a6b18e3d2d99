import type { Level } from '../lib/finding.ts';

/** One kind of finding: what `docs/findings/` says of it and what every output names it by. */
interface MessageType {
  readonly name: string;
  readonly level: Level;
  /** One sentence: what is wrong and what it does to traffic. */
  readonly summary: string;
}

const error = (name: string, summary: string): MessageType => ({ name, level: 'Error', summary });
const warning = (name: string, summary: string): MessageType => ({ name, level: 'Warning', summary });
const info = (name: string, summary: string): MessageType => ({ name, level: 'Info', summary });

/** The catalogue. Codes, names and levels `IST…` are Istio's; `SP1…` are ours, for what Istio does not see. */
export const MESSAGES = {
  IST0001: error('InternalError', 'A check broke: a defect of Sallyport, not of the configuration. Its findings are missing.'),
  IST0002: warning('Deprecated', 'A field, provider or kind is on its way out or already ignored.'),
  IST0101: error(
    'ReferencedResourceNotFound',
    'A host, subset, gateway, selector, secret or namespace that the object names does not exist.',
  ),
  IST0102: info(
    'NamespaceNotInjected',
    'The namespace carries no injection label, so its pods run without a sidecar and their traffic is not captured.',
  ),
  IST0103: warning('PodMissingProxy', 'A running pod of an injected namespace has no sidecar: its traffic goes out unwatched.'),
  IST0106: error(
    'SchemaValidationError',
    'The object breaks a rule of its schema or of Istio’s webhook: a cluster would refuse it, and it is not in force (but for two cases that say so).',
  ),
  IST0107: warning('MisplacedAnnotation', 'An annotation stands on a kind of object on which it has no effect.'),
  IST0108: warning('UnknownAnnotation', 'An annotation has the form of one of Istio’s, but there is none of that name.'),
  IST0109: error(
    'ConflictingMeshGatewayVirtualServiceHosts',
    'Several VirtualServices on the mesh claim one host: only the oldest counts.',
  ),
  IST0110: error('ConflictingSidecarWorkloadSelectors', 'Several Sidecars of a namespace select one workload: which one counts is open.'),
  IST0111: error(
    'MultipleSidecarsWithoutWorkloadSelectors',
    'A namespace has several Sidecars without a selector: which one counts is open.',
  ),
  IST0112: error(
    'VirtualServiceDestinationPortSelectorRequired',
    'A route to a service with several ports names none of them: calls go to the port that the client called.',
  ),
  IST0116: warning(
    'DeploymentAssociatedToMultipleServices',
    'Services over one Deployment give one port number different protocols: a sidecar can take only one.',
  ),
  IST0118: info('PortNameIsNotUnderNamingConvention', 'The name of a Service port does not tell the protocol, which must then be sniffed.'),
  IST0123: warning(
    'NamespaceMultipleInjectionLabels',
    'A namespace says more than once how its pods join the mesh (a sidecar, a revision’s, ambient mode): which label counts is open.',
  ),
  IST0125: warning('InvalidAnnotation', 'The value of an annotation does not parse or is out of range.'),
  IST0126: error('UnknownMeshNetworksServiceRegistry', 'The mesh networks name a service registry (cluster) that is not known.'),
  IST0127: warning('NoMatchingWorkloadsFound', 'The selector of a policy covers no workload, so the policy has no effect.'),
  IST0128: warning(
    'NoServerCertificateVerificationDestinationLevel',
    'TLS origination names no CA: the server’s certificate goes unverified.',
  ),
  IST0129: warning(
    'NoServerCertificateVerificationPortLevel',
    'TLS origination of one port names no CA: the server’s certificate goes unverified.',
  ),
  IST0130: warning('VirtualServiceUnreachableRule', 'An earlier rule takes all traffic of this one, which is never reached.'),
  IST0131: info('VirtualServiceIneffectiveMatch', 'An earlier rule, or another match of the same rule, takes all that this match does.'),
  IST0132: warning(
    'VirtualServiceHostNotFoundInGateway',
    'The gateway serves none of the VirtualService’s hosts: calls to them end in 404 or are closed.',
  ),
  IST0133: warning('SchemaWarning', 'The object is valid but holds a doubtful construct.'),
  IST0134: warning('ServiceEntryAddressesRequired', 'A TCP port without addresses takes its port for every address.'),
  IST0135: info('DeprecatedAnnotation', 'An annotation still works but is on its way out.'),
  IST0136: info('AlphaAnnotation', 'An annotation belongs to a feature of alpha maturity.'),
  IST0137: warning(
    'DeploymentConflictingPorts',
    'Services over one Deployment map one target port to different ports: the settings of one hold for all.',
  ),
  IST0138: warning(
    'GatewayDuplicateCertificate',
    'Servers of one gateway share a certificate: HTTP/2 clients reuse the connection for the other host and get 404.',
  ),
  IST0139: error('InvalidWebhook', 'Injection webhooks take the same pods, or one leads to a Service that does not exist.'),
  IST0140: warning(
    'IngressRouteRulesNotAffected',
    'A route on a gateway bypasses the subsets that a mesh VirtualService defines for its destination.',
  ),
  IST0142: error(
    'UnsupportedKubernetesVersion',
    'The cluster runs an older Kubernetes than Istio’s release supports: its control plane may not start.',
  ),
  IST0144: warning('InvalidApplicationUID', 'A pod runs as uid 1337, which is the proxy’s: its traffic is not captured.'),
  IST0145: error('ConflictingGateways', 'Gateways that select the same pods serve one host on one port: the oldest one’s settings win.'),
  IST0146: warning('ImageAutoWithoutInjectionWarning', 'A Deployment asks for the proxy’s automatic image, but nothing injects it.'),
  IST0147: error('ImageAutoWithoutInjectionError', 'A pod asks for the proxy’s automatic image, but nothing injected it.'),
  IST0148: info('NamespaceInjectionEnabledByDefault', 'The namespace is injected only because unlabelled namespaces are.'),
  IST0149: error(
    'JwtClaimBasedRoutingWithoutRequestAuthN',
    'A route matches JWT claims, but no RequestAuthentication covers the gateway: it never matches.',
  ),
  IST0150: warning(
    'ExternalNameServiceTypeInvalidPortName',
    'A port of an ExternalName Service is unnamed or TCP: where such Services are not taken for other names of their targets, it takes its port for every address.',
  ),
  IST0151: warning('EnvoyFilterUsesRelativeOperation', 'A patch depends on the order of other filters and has no priority.'),
  IST0152: error('EnvoyFilterUsesReplaceOperationIncorrectly', 'REPLACE works on filters only; this patch has no effect.'),
  IST0153: error('EnvoyFilterUsesAddOperationIncorrectly', 'ADD has no effect on route configuration.'),
  IST0154: error('EnvoyFilterUsesRemoveOperationIncorrectly', 'REMOVE has no effect on route configuration.'),
  IST0155: warning(
    'EnvoyFilterUsesRelativeOperationWithProxyVersion',
    'An order-dependent patch is tied to a proxy version and may vanish with an upgrade.',
  ),
  IST0156: error('UnsupportedGatewayAPIVersion', 'A CRD of the Gateway API lacks the version that Istio reads: its objects are ignored.'),
  IST0157: warning('InvalidTelemetryProvider', 'A Telemetry section names no provider and there is no default one: it has no effect.'),
  IST0158: warning('PodsIstioProxyImageMismatchInNamespace', 'Running sidecars have another image than injection would give them now.'),
  IST0159: error(
    'ConflictingTelemetryWorkloadSelectors',
    'Several Telemetry objects of a namespace select one workload: which one counts is open.',
  ),
  IST0160: error(
    'MultipleTelemetriesWithoutWorkloadSelectors',
    'A namespace has several Telemetry objects without a selector: which one counts is open.',
  ),
  IST0161: error(
    'InvalidGatewayCredential',
    'The secret of a Gateway’s server lacks keys, does not parse or has expired: TLS handshakes fail.',
  ),
  IST0162: warning('GatewayPortNotDefinedOnService', 'No Service of the gateway’s pods exposes the server’s port: nothing can reach it.'),
  IST0163: warning('InvalidExternalControlPlaneConfig', 'The address of an external control plane in a webhook is missing or no URL.'),
  IST0164: info(
    'ExternalControlPlaneAddressIsNotAHostname',
    'A webhook reaches an external control plane by an address in place of a name.',
  ),
  IST0165: warning('ReferencedInternalGateway', 'A VirtualService is bound to a Gateway that is generated and not meant for it.'),
  IST0166: warning(
    'IneffectiveSelector',
    'A policy selects a Kubernetes Gateway’s pods by labels, which has no effect: it needs targetRefs.',
  ),
  IST0167: warning('IneffectivePolicy', 'The policy has no effect where it stands.'),
  IST0170: warning(
    'MultiClusterInconsistentService',
    'A Service differs between clusters of the mesh, which joins them under one host: some endpoints answer differently.',
  ),
  IST0171: warning('NegativeConditionStatus', 'The object’s own status reports a failed condition.'),
  IST0172: warning('FutureUnsupportedGatewayAPIVersion', 'A CRD of the Gateway API lacks the version that later releases of Istio read.'),
  IST0173: error('DestinationRuleSubsetNotSelectPods', 'The labels of a subset select no pod of the host: its routes end in 503.'),
  IST0174: warning('UnknownDestinationRuleHost', 'The host of a DestinationRule is no known service: the rule has no effect.'),
  IST0175: warning(
    'JwksUriFetchUnrestricted',
    'Keys of JWTs are fetched from URLs, and nothing restricts the addresses that the control plane reaches.',
  ),
  IST0176: warning(
    'GatewayAPICRDVersionBelowMinimum',
    'A CRD of the Gateway API is older than Istio’s release reads: its objects are ignored.',
  ),
  IST0177: warning(
    'ConflictingServiceEntryProtocol',
    'ServiceEntries visible together give one host and port different protocols: the older one’s counts, and the other’s clients fail.',
  ),

  SP0101: info('GatewayPortOpened', '`up` opens a port on the local gateway that the gateway’s Service of a cluster may not have.'),

  SP1001: warning(
    'EgressBypassesGateway',
    'An external host is declared, but no VirtualService on the mesh routes it to an egress gateway: calls leave straight from the sidecar.',
  ),
  SP1002: warning(
    'EgressPortBypassesGateway',
    'Some ports of an external host go through the egress gateway, and this one leaves straight from the sidecar.',
  ),
  SP1003: warning(
    'VirtualServiceNotOnMesh',
    'A VirtualService for an external host is not bound to `mesh`: sidecars ignore it, and calls leave round the gateway.',
  ),
  SP1004: warning(
    'VirtualServiceHiddenFromNamespaces',
    'exportTo or a Sidecar hides the route to the egress gateway from workloads that see the host: their calls go round it.',
  ),
  SP1005: info(
    'ApplicationTlsBypassesGateway',
    'A port that is declared for the gateway’s use leaves straight from the sidecar where the application calls it itself; and so, as a hint, does its own TLS beside routed plain HTTP.',
  ),
  SP1006: error(
    'HostMisspelled',
    'A VirtualService’s host differs by a few letters from the ServiceEntry’s and the Gateway’s: its rules meet no call.',
  ),
  SP1007: error('TlsMatchNeverMatches', 'A `tls` match can never match: it has no sniHosts, or the port does not carry TLS.'),
  SP1008: warning(
    'EgressRuleBypassesGateway',
    'A rule leads a part of the calls to an external host straight out, while others go through the egress gateway.',
  ),
  SP1009: info('SubsetUnused', 'No route uses these subsets, so their settings have no effect.'),
  SP1010: warning('FieldWithoutEffect', 'A field is accepted here but has no effect.'),
  SP1011: error('TcpServicesCollide', 'Two TCP services claim one address and port: only the older is served.'),
  SP1012: info('HostNeverReached', 'A host of a Gateway or VirtualService that no traffic can reach.'),
  SP1013: warning('ServerNameNotVerified', 'TLS origination does not verify the server’s certificate, or for which name it is.'),
  SP1014: error('MeshTlsToExternalServer', 'ISTIO_MUTUAL reaches a server outside the mesh, which cannot answer it.'),
  SP1015: error('GatewayLoop', 'A route on the gateway leads back to the same gateway.'),
  SP1016: error(
    'DestinationUnreachableFromGateway',
    'A route on the gateway leads to a host that the gateway’s namespace does not see (503 NC) or that has no address there (503 UH).',
  ),
  SP1017: error('GatewayHasNoRoute', 'Sidecars send a host to a gateway that has no route for it: calls are answered 404 or closed.'),
  SP1018: warning(
    'HostDeclaredTwice',
    'A namespace declares a port of a host twice: the Kubernetes Service, the object that exportTo shows to fewer or the older one counts, and where both are seen this one at most adds endpoints and addresses.',
  ),
  SP1019: info('WildcardWiderThanNeeded', 'A wildcard allows every name under a suffix, while only some are routed.'),
  SP1020: warning(
    'PrivateAddressesReachable',
    'DYNAMIC_DNS resolves whatever name is called: one that resolves to a private address reaches it, on Envoy always, on the embedded engine where the entry allows it.',
  ),
  SP1021: info('PlainHttpLeavesMesh', 'Plain HTTP to an external host leaves the mesh unencrypted.'),
  SP1022: info('DeadObject', 'No traffic can use this object.'),
  SP1023: warning(
    'EgressGatewayWithoutNetworkPolicy',
    'Nothing but the application’s good behaviour makes traffic use the egress gateway: no NetworkPolicy keeps workloads from leaving directly.',
  ),
  SP1024: error(
    'NotEnforced',
    'The object asks for something that this version does not do; what it concerns refuses instead of running open.',
  ),
  SP1027: warning(
    'RuleShadowedByOlderVirtualService',
    'On a gateway, a rule of an older VirtualService for the host takes all traffic of this one.',
  ),
  SP1028: warning('MatchGatewayNotBound', 'A match names a gateway to which the VirtualService is not bound: the rule never holds there.'),
  SP1029: error(
    'NoEndpoints',
    'A host with resolution STATIC names no endpoints, or selects none, or endpoints have another port: every call is answered 503.',
  ),
  SP1030: warning('RuleWithoutBackend', 'A rule of an HTTPRoute or GRPCRoute leads nowhere: calls are answered 500.'),
  SP1031: warning(
    'DestinationRuleHiddenFromGateway',
    'A DestinationRule asks for TLS to a host, and the gateway that calls the host does not see it: it calls without.',
  ),
  SP1032: warning(
    'GatewayClassMisspelled',
    'The class of a Gateway differs by a few letters from one of Istio’s: nothing serves the Gateway.',
  ),
  SP1033: error(
    'SubsetHiddenFromCallers',
    'A route leads to a subset of a DestinationRule that does not hold where the callers are: 503 NC.',
  ),
  SP1034: warning('NamespaceUnknown', 'An object names a namespace that does not exist.'),
  SP1035: error(
    'TlsInsideTls',
    'A DestinationRule originates TLS to a port to which a rule leads TLS that is closed already: TLS stands inside TLS, and the server’s handshake fails.',
  ),
  SP1036: warning(
    'PortNumberContradictsTls',
    'TLS is originated to port 80, or plain HTTP leads to port 443: by their numbers the servers there speak the other.',
  ),
  SP1037: error(
    'PlainHttpToTlsPort',
    'Plain HTTP is led to a port that takes TLS alone: the server or gateway refuses it (400, or 503 UC).',
  ),
  SP1038: error(
    'CredentialNameWithoutSelector',
    'TLS settings with credentialName and without a workloadSelector do nothing at sidecars: their calls have no TLS, and are refused.',
  ),
  SP1039: warning(
    'HttpRuleOnTlsPort',
    'An `http` rule is for ports whose bytes are TLS: no sidecar sees a request there, and the rule does nothing.',
  ),
  SP1040: info(
    'ServerNameNeeded',
    'A TLS port whose addresses are a range is told by the server name: calls to an address without one do not meet it.',
  ),
  SP1041: warning(
    'SidecarImportsNothing',
    'A Sidecar imports a host from a namespace that does not declare it, or at a port that it does not have: the host is not served.',
  ),
  SP1042: warning(
    'PortHiddenByOtherEntry',
    'A namespace follows one declaration of a host, and a port that only another one has is unknown there.',
  ),
  SP1043: warning(
    'TlsOnPlainStart',
    'A port on which TLS begins after a plain start (STARTTLS, databases) is declared TLS: the sidecar waits for a TLS greeting that does not come, and calls hang.',
  ),
  SP1044: info(
    'GatewayServiceNotInFiles',
    'Rules lead to a gateway’s Service that is not among the files: it is taken to exist, and where it does not, calls end in 503.',
  ),
  SP1045: warning(
    'AmbientModeNotServed',
    'An object is for ambient mode (a waypoint, a dataplane-mode label), which is not served here: calls go as from a sidecar, and policies of waypoints do not hold.',
  ),
  SP1046: warning('RuleForUndeclaredPort', 'A rule on the mesh is for a port that nothing declares for its hosts: it never holds.'),
  SP1047: warning(
    'CallersUnknownAtGateway',
    'A policy of a gateway asks who calls, while no server of it takes mutual TLS: nobody is known there.',
  ),
  SP1048: error(
    'AuthorizerMissing',
    'A policy with action CUSTOM names an authorizer that MeshConfig or the mesh does not have: what its rules match is refused.',
  ),
  SP1049: warning(
    'TcpNotAuthorizable',
    'A policy with action CUSTOM covers TCP ports, and its authorizer is asked over HTTP: connections to them are refused (Istio lets them pass).',
  ),
  SP1050: info('KeysFetched', 'The keys of tokens are fetched by the control plane, which has to reach them.'),
  SP1051: warning(
    'ListenerRefusedByEnvoy',
    'Two different `tls` matches have a server name in common: in a cluster Envoy refuses the listener that Istio makes of them, and keeps its last version.',
  ),
  SP1052: warning(
    'NameNotResolvedAfterRule',
    'A `tls` or `tcp` rule leads to a host with resolution DYNAMIC_DNS: in a cluster Istio resolves no name there, and connections are closed (UH).',
  ),
  SP1053: warning(
    'BindingNotOnEnvoy',
    'Calls are to be bound to their destination (`sallyport.dev/bind`): the embedded engine does so, and stock Envoy holds to the certificate of TLS that it originates alone.',
  ),
  SP1054: warning(
    'HostLedToAnother',
    'A `tls` or `tcp` rule for several hosts leads them to one of them: calls to the others are answered by the wrong server.',
  ),
  SP1055: info(
    'SidecarOpensUndeclared',
    'A Sidecar lets its workloads call what nothing declares, while MeshConfig refuses it: they go out past every gateway.',
  ),
  SP1056: warning(
    'Http2ToExternalServer',
    'h2UpgradePolicy of MeshConfig makes HTTP/2 of plain HTTP/1.1 on the way to servers outside the mesh too, which have to speak it without being asked.',
  ),
  SP1057: warning(
    'PolicyAsksOfRequests',
    'A policy allows by what only requests say, and a gateway’s servers pass on TLS or bytes: every connection to them is refused.',
  ),
  SP1058: warning(
    'PolicyHostWithoutPort',
    'A policy names a host without a port, and clients that call another port than 80 send it with one: the rule does not hold for them.',
  ),
  SP1059: error(
    'ForwardProxyUnusable',
    'A host is to be reached through a forward proxy (`sallyport.dev/through`), and can not: the proxy is not declared or not written as HOST:PORT, the host is one that no proxy can be asked for, or another object counts for the port.',
  ),
  SP1060: error(
    'CredentialsRefused',
    'Calls are to get credentials (`sallyport.dev/credentials`), and are refused: they are not bound to their destination, or leave without verified TLS.',
  ),
  SP1061: warning(
    'InjectedByRunAlone',
    'Credentials, and TLS that is seen through, are for the proxy of `sallyport run --policy`: everything else refuses the calls.',
  ),
  SP1062: info(
    'CalledNameInTls',
    'TLS is originated with the name that was called, which is not the server’s: a server that has no certificate for it is not taken.',
  ),
  SP1063: warning(
    'MatchNeverHolds',
    'A match of an http rule asks for what no request has (a query in the path, a path without a slash, another host), or a delegate’s match contradicts its root’s: the rule never holds.',
  ),
  SP1064: info(
    'LogFilterHidesConnections',
    'The filter of an access log asks for what only requests have: TLS that is passed on and bytes are not logged, refused connections included.',
  ),
  SP1065: info(
    'TrafficPastSidecar',
    'A workload’s annotations keep calls from its sidecar: they go out past every route, gateway and policy, where NetworkPolicies alone hold them.',
  ),
  SP1066: error(
    'TlsToPlainHttpPort',
    'A tls rule leads TLS that passes as it is to a port of plain HTTP: the server finds no request, and handshakes fail.',
  ),
  SP1067: warning('HostEndsInDot', 'A host ends in a dot, which clients leave out: calls to the name do not meet it.'),
  SP1068: warning(
    'PolicyNeverHolds',
    'A policy asks for a value that no call has (a method in small letters, a * inside of a value, the Service’s port in place of the pod’s, a token that nobody reads): ALLOW allows nothing by it, DENY lets everything pass.',
  ),
  SP1069: warning(
    'DestinationRuleOverruled',
    'Another DestinationRule of the namespace takes the place of what is said here or, TLS included, of what a wider one says: settings do not add up.',
  ),
  SP1070: error(
    'MutualTlsDisagrees',
    'A DestinationRule and a PeerAuthentication disagree on the mesh’s mutual TLS: calls come without it to workloads that take nothing else, or with it to those that take none.',
  ),
  SP1026: warning('NoAddressLeft', 'No address is left to allocate for the host: DNS answers with its real addresses.'),
} as const satisfies Record<string, MessageType>;

export type Code = keyof typeof MESSAGES;
