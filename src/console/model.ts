/** What the console's API answers: shapes from which its OpenAPI document and its types are made. Fields may be added; those that are there keep their meaning. */
import type { Flow } from '../flows/flow.ts';
import { flowSchema } from '../flows/schema.ts';
import { count, described, flag, listOf, named, type Of, oneOf, record, text } from './schema.ts';

const place = record({
  file: text('Of the configuration, as it was read.'),
  line: count('From 1 on; 0 where the place is no line of a file.'),
});

export const origin = named(
  'Origin',
  record(
    { kind: text('Kind of the resource.'), namespace: text('Empty for cluster-scoped kinds.'), name: text('Of the resource.') },
    { file: text('Where it is written.'), line: count('From 1 on.') },
    'A resource that decides something.',
  ),
);

export const LEVELS = ['Error', 'Warning', 'Info'] as const;

export const finding = named(
  'Finding',
  record(
    {
      code: text('Stable code.'),
      level: oneOf(LEVELS, 'How grave it is.'),
      message: text('What is wrong, what it does to traffic, and what mends it.'),
      origin: text('What it is about, as Kind namespace/name.'),
    },
    {
      place,
      column: count('From 1 on.'),
      documentationUrl: text('Where the code is explained.'),
      mend: record(
        { from: text('What stands at the place.'), to: text('What is to stand there.') },
        {},
        'The change that mends it by itself: GET /mend has it as a diff.',
      ),
    },
    'What analysis, reading or a proxy reports.',
  ),
);

export const mend = named(
  'Mend',
  record({
    file: text('That changes.'),
    patch: text('As git apply takes it, in the folder that is shown.'),
    digest: text('Of what the file held when the patch was made: writing it asks for the same.'),
    gone: flag('The finding is not there any more once it is changed.'),
    news: listOf(text('An error or warning that comes with the change, in words.')),
  }),
);

const { $schema: _dialect, title: _title, ...lines } = flowSchema();
export const flow = named('Flow', described<Flow>(lines));

export const state = named(
  'State',
  record(
    {
      version: text('Of Sallyport.'),
      kind: oneOf(
        ['up', 'files', 'cluster', 'dump'],
        'up: a mesh that runs; files: resources that were read; cluster: those of a cluster; dump: config dumps of proxies.',
      ),
      paths: listOf(text('A path, as it was given.')),
      snapshot: count('Number of the newest configuration that was taken over.'),
      resources: count('How many resources there are.'),
      errors: count('Findings by their level.'),
      warnings: count('Likewise.'),
      infos: count('Likewise.'),
      hasFlows: flag('Whether calls are made, and told.'),
      isLearning: flag('Whether calls are allowed and recorded, to become resources (up --learn).'),
      canEdit: flag('Whether mends may be written to the files (--edit).'),
      outboundPolicy: text('outboundTrafficPolicy of the MeshConfig; empty where it is not known.'),
    },
    {
      within: text(
        'Where the path lies that is shown, if it is one, seen from the folder in which Sallyport was started, and under it: for git:REV:PATH.',
      ),
      person: text('Who looks, as the cluster calls them.'),
      reach: record({
        connected: count('Proxies that are connected to the controllers that are heard.'),
        telling: count('Those that tell of their calls.'),
        silent: listOf(text('namespace/name.'), 'Some of those that do not.'),
        heard: count('Controllers beside this one that tell of their proxies.'),
        unheard: count('Controllers that do not answer: their proxies are not seen.'),
      }),
      namespaces: listOf(text('A namespace.'), 'The ones that they may see, to which everything is cut; absent where nothing is.'),
    },
    'What the console shows.',
  ),
);

export const resource = named(
  'Resource',
  record({
    kind: text('Kind.'),
    namespace: text('Empty for cluster-scoped kinds.'),
    name: text('Name.'),
    apiVersion: text('As it is written.'),
    valid: flag('False for one that breaks its schema: it is not in force.'),
    place,
    findings: count('How many are about it.'),
  }),
);

export const source = named(
  'Source',
  record({
    file: text('As it was asked for.'),
    text: text('What stands in it.'),
    cut: flag('It is longer, and only its beginning is here.'),
  }),
);

export const XDS_TYPES = ['listeners', 'routes', 'clusters', 'endpoints', 'secrets'] as const;

export const proxy = named(
  'Proxy',
  record({
    name: text('namespace/name of its workload.'),
    role: oneOf(['sidecar', 'router'], 'router: a gateway.'),
    version: text('Of the configuration that it runs.'),
    addresses: listOf(text('IP address.')),
    counts: record(Object.fromEntries(XDS_TYPES.map((type) => [type, count(`How many ${type} it has.`)])) as XdsCounts),
    refusals: listOf(text('What it refused, and why.'), 'Empty where it runs all that it was sent.'),
  }),
);
type XdsCounts = Record<(typeof XDS_TYPES)[number], ReturnType<typeof count>>;

export const learned = named(
  'Learned',
  record({
    file: text('Where the proposal of everything is written as it grows.'),
    declared: count('Calls to what the files declare.'),
    observed: listOf(
      record({
        host: text('A name, or an address where the calls named none.'),
        port: count('As it was called.'),
        protocol: oneOf(['HTTP', 'TLS', 'TCP'], 'What was spoken.'),
        count: count('Calls.'),
        last: text('RFC 3339; may be empty.'),
      }),
      'What was called and is not declared, also what is left out.',
    ),
    text: text('The proposed resources, as YAML; empty where there are none.'),
  }),
);

export const CERTIFICATE_STATES = ['valid', 'soon', 'expired', 'not yet'] as const;

export const certificate = named(
  'Certificate',
  record(
    {
      where: text('proxy namespace/name, or Secret namespace/name.'),
      kind: oneOf(['chain', 'roots'], 'chain: shown to others; roots: by which others are verified.'),
      names: listOf(text('An alternative name with its kind, or a part of the subject.')),
      since: text('RFC 3339.'),
      until: text('RFC 3339.'),
      state: oneOf(CERTIFICATE_STATES, 'soon: less than a fifth of its life is left.'),
    },
    { file: text('That a proxy reads it from.'), place },
  ),
);

export const match = named(
  'Match',
  record({
    proxy: text('namespace/name.'),
    type: oneOf(XDS_TYPES, 'The section of its config dump.'),
    line: count('From 1 on, in that section as GET /xds has it.'),
    text: text('The line.'),
  }),
);

export const matches = named(
  'Matches',
  record({ matches: listOf(match), left: count('Lines that are not here, for there are too many.') }),
);

const step = record({
  kind: text('listener, filter-chain, route, cluster, …'),
  name: text("The xDS object's name; of an endpoint its address."),
  text: text('What was decided, as a clause.'),
  origins: listOf(origin, 'The resources by which it was.'),
});

const hop = record({
  proxy: text('namespace/name.'),
  flag: text("Envoy's response flag, or empty."),
  cluster: text('That took the call; empty if none did.'),
  steps: listOf(step),
});

const OUTCOMES = ['upstream', 'reply', 'closed', 'undecided'] as const;

export const explanation = named(
  'Explanation',
  record(
    {
      from: text('Who calls.'),
      destination: text('address:port that is connected to.'),
      resolved: text('How the address was found; empty where the call names it.'),
      hops: listOf(hop),
      outcome: oneOf(OUTCOMES, 'upstream: it reaches a server; reply: a proxy answers; closed: the connection is.'),
      text: text('What the application sees, as a sentence.'),
      copies: listOf(text('Where a copy of the request goes.')),
      nearMisses: listOf(text('What nearly allowed it, a sentence each.')),
      whyNot: listOf(text('Why nothing can be added that allows it alone, a sentence each.')),
    },
    {
      allow: text('YAML that was proved to allow this call and to open nothing but its host and port.'),
      isCut: flag('Parts are left out that are about namespaces which whoever asks may not see.'),
    },
    'The way of a call.',
  ),
);

const counterexamples = record({
  workloads: listOf(text('namespace/name.')),
  destinations: listOf(text('A host with its ports, in words.')),
  way: text('What becomes of the calls, and where.'),
  origins: listOf(origin),
  example: text('One call, in the words of sallyport explain.'),
  call: record({ from: text('Who calls.'), url: text('What is called.'), method: text('Of HTTP.'), to: text('The address.') }),
  count: count('How many calls.'),
});

const verdict = record({
  adversary: oneOf(['captured', 'bypassing'], 'bypassing: one that goes round its sidecar.'),
  statement: text('What is claimed of all calls.'),
  result: oneOf(['proved', 'refuted', 'undecided'], 'undecided: not known.'),
  cells: count('How many classes of calls were judged.'),
  counterexamples: listOf(counterexamples),
  openings: listOf(
    record({
      workloads: listOf(text('namespace/name.')),
      how: text('What they can do: the rest of the sentence.'),
      closable: flag('Whether a NetworkPolicy closes it.'),
    }),
  ),
  undecided: listOf(text('A sentence.')),
  notes: listOf(text('A sentence.')),
});

export const verification = named(
  'Verification',
  record({ verdicts: listOf(verdict), policies: text('NetworkPolicies that close what is open, as YAML; may be empty.') }),
);

export const CHANGES = ['widens', 'weakens', 'differs', 'strengthens', 'narrows'] as const;

export const difference = named(
  'Difference',
  record(
    {
      before: text('The one side.'),
      after: text('The other.'),
      groups: listOf(
        record({
          causes: listOf(text('What changed in the configuration.')),
          rows: listOf(
            record({
              kind: oneOf(CHANGES, 'The gravest come first.'),
              workloads: listOf(text('namespace/name.')),
              destinations: listOf(text('In words.')),
              before: listOf(text('How the calls ended.')),
              after: text('How they end.'),
              example: text('One call, in the words of sallyport explain.'),
            }),
          ),
        }),
      ),
      undecided: listOf(text('A sentence.')),
      added: listOf(text('A workload that only the second side has; its calls are not compared.')),
      removed: listOf(text('Likewise of the first.')),
      invalid: listOf(text('What is not valid on a side, and left out of the answer.')),
    },
    { isCut: flag('Only calls of workloads in namespaces that are seen are compared.') },
  ),
);

const way = record({
  from: text('Who calls.'),
  host: text('What is called.'),
  port: count('The port.'),
  through: listOf(text('The proxies on the way, in order, without the own sidecar.')),
  verdict: oneOf(['allowed', 'refused', 'undecided'], 'What becomes of the call.'),
});

export const outwards = named(
  'Outwards',
  record({
    workloads: listOf(text('namespace/name, or what stands for several.')),
    gateways: listOf(text('namespace/name.')),
    ways: listOf(way, 'The declared ones, as explain has them.'),
    round: listOf(
      record({ workloads: listOf(text('namespace/name.')), how: text('The rest of the sentence.') }),
      'Suspected ways past the sidecar or the gateway.',
    ),
    left: count('Ways that are not here, for there are too many.'),
  }),
);

/** A line of a long answer. */
export const progress = record({ kind: oneOf(['progress'], ''), done: count('Calls judged so far.') });

export const problem = named('Problem', record({ code: text('Stable code.'), message: text('What is wrong, and what to do.') }));

export type Origin = Of<typeof origin>;
export type FindingView = Of<typeof finding>;
export type Mend = Of<typeof mend>;
export type CertificateView = Of<typeof certificate>;
export type Match = Of<typeof match>;
export type Matches = Of<typeof matches>;
export type XdsType = (typeof XDS_TYPES)[number];
export type Learned = Of<typeof learned>;
export type State = Of<typeof state>;
export type ResourceView = Of<typeof resource>;
export type SourceView = Of<typeof source>;
export type ProxyView = Of<typeof proxy>;
export type Explained = Of<typeof explanation>;
export type Verification = Of<typeof verification>;
export type Verdict = Of<typeof verdict>;
export type Difference = Of<typeof difference>;
export type Outwards = Of<typeof outwards>;
export type Problem = Of<typeof problem>;
