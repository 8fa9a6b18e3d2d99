// Generates the xDS message types (src/xds/gen) with protobuf-es from the .proto trees that npm packages ship.
// Runs from npm's `prepare`, so that a clone has them after `npm ci`. Takes about 3 s.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const deps = join(root, 'node_modules/@grpc/grpc-js-xds/deps');
const work = join(root, 'node_modules/.cache/sallyport-proto');
const out = join(root, 'src/xds/gen');
const list = join(root, 'proto/roots.txt');

/** validate.proto in that package is older than its envoy-api, which uses these options. */
function overlayValidate(file) {
  const text = readFileSync(file, 'utf8');
  if (text.includes('ignore_empty')) return;
  const lastField = { StringRules: 40, BytesRules: 40 };
  let patched = text;
  for (const message of [
    'FloatRules',
    'DoubleRules',
    'Int32Rules',
    'Int64Rules',
    'UInt32Rules',
    'UInt64Rules',
    'SInt32Rules',
    'SInt64Rules',
    'Fixed32Rules',
    'Fixed64Rules',
    'SFixed32Rules',
    'SFixed64Rules',
    'StringRules',
    'BytesRules',
    'RepeatedRules',
    'MapRules',
  ]) {
    patched = patched.replace(new RegExp(`message ${message} \\{`), `$&\n    optional bool ignore_empty = ${lastField[message] ?? 90};`);
  }
  writeFileSync(file, patched);
}

const ROUTES = 'envoy/config/route/v3/route_components.proto';
const RATE_LIMIT = 'envoy/extensions/filters/http/ratelimit/v3/rate_limit.proto';
const LOCAL_RATE_LIMIT = 'envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto';
const DESCRIPTORS = 'envoy/extensions/common/ratelimit/v3/ratelimit.proto';
const RATE_LIMIT_SERVICE = 'envoy/service/ratelimit/v3/rls.proto';
const COMPRESSOR = 'envoy/extensions/filters/http/compressor/v3/compressor.proto';
const ROUTES_IMPORT = 'import "envoy/config/route/v3/route_components.proto";';
const WRAPPERS_IMPORT = 'import "google/protobuf/wrappers.proto";';

/** What Envoy has had since: the file, what stands there, and what stands there by now (`$&`: what stood there, and more). */
const NEWER = [
  ['envoy/type/tracing/v3/custom_tag.proto', /Metadata metadata = 5;/, '$&\n    string value = 6;'],
  [
    ROUTES,
    /message RateLimit \{[\s\S]*?Override limit = 4;/,
    `$&
  message HitsAddend {
    google.protobuf.UInt64Value number = 1;
    string format = 2;
    bool is_negative_hits = 3;
  }
  enum XRateLimitOption {
    UNSPECIFIED = 0;
    OFF = 1;
    DRAFT_VERSION_03 = 2;
  }
  HitsAddend hits_addend = 5;
  bool apply_on_stream_done = 6;
  XRateLimitOption x_ratelimit_option = 7;`,
  ],
  [ROUTES, /QueryParameterValueMatch query_parameter_value_match = 11;/, '$&\n      QueryParameters query_parameters = 12;'],
  [
    ROUTES,
    /message QueryParameterValueMatch \{/,
    `message QueryParameters {
      string query_parameter_name = 1;
      string descriptor_key = 2;
      bool skip_if_absent = 3;
    }

    $&
      string default_value = 5;`,
  ],
  [ROUTES, /message GenericKey \{/, '$&\n      string default_value = 3;'],
  [ROUTES, /message HeaderValueMatch \{/, '$&\n      string default_value = 5;'],
  [
    ROUTES,
    /(message RateLimit \{[\s\S]*?)(DynamicMetadata dynamic_metadata = 1;)/,
    `$1$2
      RateLimitOverride rate_limit = 2;`,
  ],
  [
    ROUTES,
    /message Override \{/,
    `$&
    message RateLimitOverride {
      uint32 requests_per_unit = 1;
      type.v3.RateLimitUnit unit = 2;
    }`,
  ],
  [ROUTES, /import "envoy\/type\/v3\/range.proto";/, '$&\nimport "envoy/type/v3/ratelimit_unit.proto";'],
  ['envoy/type/v3/ratelimit_unit.proto', /YEAR = 6;/, '$&\n  WEEK = 7;'],
  [
    RATE_LIMIT,
    /string stat_prefix = 13;/,
    `$&
  config.core.v3.RuntimeFractionalPercent filter_enabled = 14;
  config.core.v3.RuntimeFractionalPercent filter_enforced = 15;
  config.core.v3.RuntimeFractionalPercent failure_mode_deny_percent = 16;
  repeated config.route.v3.RateLimit rate_limits = 17;
  string metadata_namespace = 18;
  bool enable_retry_after_header = 19;`,
  ],
  [RATE_LIMIT, /repeated RateLimitConfig rate_limits = 3;/, 'repeated config.route.v3.RateLimit rate_limits = 3;'],
  [
    LOCAL_RATE_LIMIT,
    /bool rate_limited_as_resource_exhausted = 15;/,
    `$&
  repeated config.route.v3.RateLimit rate_limits = 17;
  google.protobuf.UInt32Value max_dynamic_descriptors = 18;
  bool enable_retry_after_header = 19;`,
  ],
  [LOCAL_RATE_LIMIT, /import "envoy\/config\/core\/v3\/base.proto";/, `$&\n${ROUTES_IMPORT}`],
  [DESCRIPTORS, /import "envoy\/type\/v3\/token_bucket.proto";/, `$&\n${WRAPPERS_IMPORT}`],
  [DESCRIPTORS, /uint32 requests_per_unit = 1;/, '$&\n    google.protobuf.UInt32Value unit_multiplier = 3;'],
  [DESCRIPTORS, /RateLimitOverride limit = 2;/, '$&\n  google.protobuf.UInt64Value hits_addend = 3;\n  bool is_negative_hits = 4;'],
  [DESCRIPTORS, /message LocalRateLimitDescriptor \{/, '$&\n  bool shadow_mode = 3;'],
  [COMPRESSOR, /import "envoy\/config\/core\/v3\/extension.proto";/, '$&\nimport "envoy/type/matcher/v3/string.proto";'],
  [COMPRESSOR, /repeated string content_type = 3;/, '$&\n    repeated type.matcher.v3.StringMatcher content_type_matcher = 4;'],
  [
    COMPRESSOR,
    /bool remove_accept_encoding_header = 3;/,
    `$&
    bool weaken_etag_on_compress = 6;
    repeated uint32 uncompressible_response_codes = 4;
    bool status_header_enabled = 5;`,
  ],
  [
    COMPRESSOR,
    /ResponseDirectionOverrides response_direction_config = 1;/,
    '$&\n  config.core.v3.TypedExtensionConfig compressor_library = 2;',
  ],
  [RATE_LIMIT_SERVICE, /YEAR = 6;/, '$&\n      WEEK = 7;'],
  [RATE_LIMIT_SERVICE, /string name = 3;/, '$&\n    google.protobuf.UInt32Value unit_multiplier = 4;'],
  [RATE_LIMIT_SERVICE, /import "google\/protobuf\/timestamp.proto";/, `$&\n${WRAPPERS_IMPORT}`],
];

function overlayNewer() {
  for (const [name, before, after] of NEWER) {
    const file = join(work, name);
    const text = readFileSync(file, 'utf8');
    if (!before.test(text)) throw new Error(`${name}: there is no ${before}`);
    writeFileSync(file, text.replace(before, after));
  }
}

/** The .proto files that hold nothing but options on others: validation rules, version and status marks. */
const OF_OPTIONS = /^(?:validate|udpa\/annotations|xds\/annotations|envoy\/annotations|google\/api\/annotations_pb\.(?:js|d\.ts))(?:\/|$)/;

/** The messages and enums of a file, as arguments of `fileDesc` (src/xds/descriptors.ts). Options are left out: nobody here asks for them. */
function formsOf(file) {
  if (file.proto.syntax !== 'proto3' || file.extensions.length > 0)
    throw new Error(`${file}: src/xds/descriptors.ts knows proto3 without extensions`);
  return withoutEmptyEnd([file.messages.map(messageForm), file.enums.map(enumForm)]);
}

function messageForm(message) {
  const fields = `() => [${message.fields.map((field) => fieldForm(field, message))}]`;
  const oneofs = message.oneofs.map((oneof) => JSON.stringify(oneof.name));
  const nested = [oneofs, message.nestedMessages.map(messageForm), message.nestedEnums.map(enumForm)];
  return `[${[JSON.stringify(message.name), fields, ...withoutEmptyEnd(nested)]}]`;
}

function fieldForm(field, message) {
  const type = (of) => of.scalar ?? JSON.stringify((of.message ?? of.enum).typeName);
  const shapes = {
    list: () => `[${type(field)}${field.packed ? ', true' : ''}]`,
    map: () => `{key: ${field.mapKey}, value: ${type(field)}}`,
  };
  const form = [JSON.stringify(field.name), field.number, shapes[field.fieldKind]?.() ?? type(field)];
  if (field.oneof) form.push(message.oneofs.indexOf(field.oneof));
  else if (field.proto.proto3Optional) form.push("'optional'");
  return `[${form}]`;
}

function enumForm({ name, values, sharedPrefix }) {
  const form = [JSON.stringify(name), `[${values.flatMap((value) => [JSON.stringify(value.name), value.number])}]`];
  if (sharedPrefix !== undefined) form.push(sharedPrefix.length);
  return `[${form}]`;
}

/** Lists as source text, without empty ones at the end. */
function withoutEmptyEnd(lists) {
  const last = lists.findLastIndex((list) => list.length > 0);
  return lists.slice(0, last + 1).map((list) => `[${list}]`);
}

/** A service as generated code declares it, with the comment before it: descriptors.ts knows messages and enums. */
const SERVICE =
  /\n\/\*\*(?:(?!\*\/)[\s\S])*\*\/\nexport (?:const \w+ = \/\*@__PURE__\*\/\s+serviceDesc\([^)]*\)|declare const \w+: GenService<\{[\s\S]*?\n\}>);\n/g;

/**
 * Makes the generated files quick to load: they describe their types to src/xds/descriptors.ts, where protobuf-es would have them decode what it embeds
 * when they load. What only options import goes.
 */
function quickenLoading(registry) {
  for (const name of readdirSync(out, { recursive: true })) {
    const from = name.split(sep).join('/');
    if (OF_OPTIONS.test(from)) {
      rmSync(join(out, name), { recursive: true, force: true });
      continue;
    }
    const path = join(out, name);
    if (from.endsWith('_pb.d.ts')) writeFileSync(path, readFileSync(path, 'utf8').replace(SERVICE, ''));
    if (!from.endsWith('_pb.js')) continue;
    const file = registry.getFile(from.replace(/_pb\.js$/, '.proto'));
    const target = `${'../'.repeat(from.split('/').length)}descriptors.ts`;
    const gone = new Set();
    const text = readFileSync(path, 'utf8')
      .replace(SERVICE, '')
      .replace(/import \{([^}]*)\} from "@bufbuild\/protobuf\/codegenv2";/, (_, list) => {
        const names = list.split(',').map((each) => each.trim());
        const others = names.filter((each) => each !== 'fileDesc');
        const kept = others.length > 0 ? `import { ${others.join(', ')} } from "@bufbuild/protobuf/codegenv2";\n` : '';
        return `${kept}import { fileDesc } from "${target}";`;
      })
      .replace(/import \{ (\w+) \} from "([^"]+)";\n/g, (line, imported, source) => {
        if (!OF_OPTIONS.test(posix.join(posix.dirname(from), source))) return line;
        gone.add(imported);
        return '';
      })
      .replace(/fileDesc\("[^"]+"(?:, \[([^\]]*)\])?\)/, (_, list = '') => {
        const kept = list.split(', ').filter((each) => each !== '' && !gone.has(each));
        const names = [file.proto.name, file.proto.package].map((each) => JSON.stringify(each));
        return `fileDesc(${[...names, `[${kept.join(', ')}]`, ...formsOf(file)].join(', ')})`;
      });
    writeFileSync(path, text);
  }
}

const roots = readFileSync(list, 'utf8')
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line && !line.startsWith('#'));
const stamp = join(out, '.stamp');
/** Of our own writing; those under envoy/ are what the packages' trees lack. */
const own = readdirSync(join(root, 'proto'), { recursive: true })
  .filter((name) => name.endsWith('.proto'))
  .sort();
/** Grows when this script writes something else from the same input. */
const FORM = 9;
const wanted = `${FORM}\n${readFileSync(join(root, 'node_modules/@grpc/grpc-js-xds/package.json'), 'utf8').match(/"version": "(.*)"/)[1]}\n${roots.join('\n')}\n${own.map((name) => readFileSync(join(root, 'proto', name), 'utf8')).join('')}`;
if (existsSync(stamp) && statSync(stamp).isFile() && readFileSync(stamp, 'utf8') === wanted && !process.argv.includes('--force'))
  process.exit(0);

rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
for (const tree of ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate']) cpSync(join(deps, tree), work, { recursive: true });
for (const name of own) cpSync(join(root, 'proto', name), join(work, name));
overlayValidate(join(work, 'validate/validate.proto'));
overlayNewer();
writeFileSync(join(work, 'buf.yaml'), 'version: v2\n');
writeFileSync(
  join(work, 'buf.gen.yaml'),
  `version: v2
plugins:
  - local: ${join(root, 'node_modules/.bin/protoc-gen-es')}
    out: ${out}
    strategy: all
    include_imports: true
    opt: [target=js+dts, import_extension=js]
`,
);
rmSync(out, { recursive: true, force: true });
const descriptors = join(out, 'descriptors.binpb');
for (const command of [['generate'], ['build', '-o', descriptors]])
  execFileSync(join(root, 'node_modules/.bin/buf'), [...command, ...roots.flatMap((path) => ['--path', path])], {
    cwd: work,
    stdio: 'inherit',
  });
quickenLoading(createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors))));
writeFileSync(stamp, wanted);
