// Generates the xDS message types (src/xds/gen) with protobuf-es from the .proto trees that npm packages ship.
// Runs from npm's `prepare`, so that a clone has them after `npm ci`. Takes about 3 s.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

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

/** The .proto files that hold nothing but options on others: validation rules, version and status marks. */
const OF_OPTIONS = /^(?:validate|udpa\/annotations|xds\/annotations|envoy\/annotations)(?:\/|$)/;

/**
 * A file's descriptor without options and without what only they import, base64. Nobody here asks for them, and they are a fifth of what a start decodes.
 * What the encoding hangs on stays: map entries and unpacked lists.
 */
function withoutOptions(b64) {
  const file = fromBinary(FileDescriptorProtoSchema, Buffer.from(b64, 'base64'));
  const plainEnum = (each) => {
    each.options = undefined;
    for (const value of each.value) value.options = undefined;
  };
  const plainMessage = (each) => {
    if (each.options?.mapEntry !== true) each.options = undefined;
    for (const field of each.field) if (field.options?.packed !== false) field.options = undefined;
    for (const oneof of each.oneofDecl) oneof.options = undefined;
    each.nestedType.forEach(plainMessage);
    each.enumType.forEach(plainEnum);
  };
  file.options = undefined;
  file.messageType.forEach(plainMessage);
  file.enumType.forEach(plainEnum);
  file.dependency = file.dependency.filter((name) => !OF_OPTIONS.test(name));
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString('base64').replace(/=+$/, '');
}

/**
 * Makes the generated files quick to load. protobuf-es walks each file's imports along every path when a module loads, which takes longer than all else at
 * start-up: they get a `fileDesc` that shows it the direct imports alone, as no file here refers to types of an indirect one. And options go.
 */
function quickenLoading() {
  writeFileSync(
    join(out, 'file-desc.js'),
    `import { fileDesc as hydrate } from '@bufbuild/protobuf/codegenv2';

export function fileDesc(b64, imports = []) {
  const file = hydrate(b64, imports.map((each) => ({ ...each, dependencies: [] })));
  file.dependencies = [...imports];
  return file;
}
`,
  );
  for (const name of readdirSync(out, { recursive: true })) {
    const from = name.split(sep).join('/');
    if (OF_OPTIONS.test(from)) {
      rmSync(join(out, name), { recursive: true, force: true });
      continue;
    }
    if (!from.endsWith('_pb.js')) continue;
    const path = join(out, name);
    const target = `${'../'.repeat(from.split('/').length - 1) || './'}file-desc.js`;
    const gone = new Set();
    const text = readFileSync(path, 'utf8')
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
      .replace(/fileDesc\("([^"]+)"(?:, \[([^\]]*)\])?\)/, (_, b64, list = '') => {
        const kept = list.split(', ').filter((each) => each !== '' && !gone.has(each));
        return `fileDesc("${withoutOptions(b64)}", [${kept.join(', ')}])`;
      });
    writeFileSync(path, text);
  }
}

const roots = readFileSync(list, 'utf8')
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line && !line.startsWith('#'));
const stamp = join(out, '.stamp');
/** Grows when this script writes something else from the same input. */
const FORM = 3;
const wanted = `${FORM}\n${readFileSync(join(root, 'node_modules/@grpc/grpc-js-xds/package.json'), 'utf8').match(/"version": "(.*)"/)[1]}\n${roots.join('\n')}\n${readFileSync(join(root, 'proto/istio/nds.proto'), 'utf8')}`;
if (existsSync(stamp) && statSync(stamp).isFile() && readFileSync(stamp, 'utf8') === wanted && !process.argv.includes('--force'))
  process.exit(0);

rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
for (const tree of ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate']) cpSync(join(deps, tree), work, { recursive: true });
cpSync(join(root, 'proto/istio'), join(work, 'istio'), { recursive: true });
overlayValidate(join(work, 'validate/validate.proto'));
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
execFileSync(join(root, 'node_modules/.bin/buf'), ['generate', ...roots.flatMap((path) => ['--path', path])], {
  cwd: work,
  stdio: 'inherit',
});
quickenLoading();
writeFileSync(stamp, wanted);
