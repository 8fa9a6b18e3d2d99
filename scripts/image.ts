/**
 * The image of the product, without Docker: `node scripts/image.ts OUT.tar [NAME]` writes an archive that `docker load` and `ctr images import` take,
 * `node scripts/image.ts --tree FOLDER` its file tree alone, of which deploy/Dockerfile makes the same image.
 *
 * There is no shell in it and no package manager: Node, Envoy, the build with its dependencies, iptables for `sallyport capture`, the CNI plugin with what it
 * runs by on a node, and the libraries that these name. All of them come from this machine, so it is an image for this machine's architecture.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { SallyportError } from '../src/lib/errors.ts';
import { productVersion } from '../src/lib/version.ts';
import { fetchEnvoy } from './fetch-envoy.ts';

const ROOT = join(import.meta.dirname, '..');
/** As injected pods run it, and the one whose traffic capture leaves alone. */
const USER = 1337;
const PRODUCT = 'usr/local/lib/sallyport';
/** What `sallyport cni` copies onto a node. */
const PLUGIN = 'usr/local/lib/sallyport-cni';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const IPTABLES = ['iptables-save', 'iptables-restore', 'ip6tables-save', 'ip6tables-restore'];
/** Of what a rule may name: loaded when it is first used, so that no binary says so. */
const EXTENSIONS = ['owner', 'standard', 'tcp', 'udp', 'CT', 'REDIRECT', 'NAT'].map((name) => `libxt_${name}.so`);

const FILES: Readonly<Record<string, string>> = {
  'etc/passwd': `root:x:0:0:root:/:/sbin/nologin\nsallyport:x:${USER}:${USER}:sallyport:/:/sbin/nologin\n`,
  'etc/group': `root:x:0:\nsallyport:x:${USER}:\n`,
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

const CONFIG = {
  User: `${USER}:${USER}`,
  WorkingDir: '/',
  Env: ['PATH=/usr/local/bin:/usr/sbin', 'HOME=/'],
  Entrypoint: ['/usr/local/bin/sallyport'],
};

/** Writes what seldom changes, and then what every build changes, into a folder each. */
function writeTree(base: string, product: string): void {
  // As in Debian, where programs look for libraries in either.
  for (const folder of ['lib', 'lib64']) {
    mkdirSync(join(base, 'usr', folder), { recursive: true });
    symlinkSync(`usr/${folder}`, join(base, folder));
  }
  const put = (from: string, to: string) => {
    mkdirSync(dirname(join(base, to)), { recursive: true });
    copyFileSync(from, join(base, to));
  };
  const node = process.execPath;
  const envoy = fetchEnvoy();
  const iptables = realpathSync(onPath('xtables-nft-multi'));
  put(node, 'usr/local/bin/node');
  put(envoy, 'usr/local/bin/envoy');
  put(iptables, 'usr/sbin/xtables-nft-multi');
  for (const name of IPTABLES) linkTo('xtables-nft-multi', join(base, 'usr/sbin', name));
  const extensions = EXTENSIONS.map((name) => join(extensionFolder(iptables), name));
  // An extension asks by which name it was found, and a link is another one than a file.
  for (const file of extensions) {
    const isLink = lstatSync(file).isSymbolicLink();
    if (isLink) linkTo(readlinkSync(file), join(base, file));
    else put(file, file.slice(1));
  }
  put(authorities(), 'etc/ssl/certs/ca-certificates.crt');
  for (const [file, text] of Object.entries(FILES)) writeFileSync(join(base, file), text);
  mkdirSync(join(base, 'tmp'));
  execFileSync('chmod', ['1777', join(base, 'tmp')]);
  for (const folder of ['run', 'var/run']) mkdirSync(join(base, folder), { recursive: true });

  const own = join(product, PRODUCT);
  for (const name of ['bin', 'package.json', 'LICENSE']) cpSync(join(ROOT, name), join(own, name), { recursive: true });
  const modules = dependencies();
  for (const name of modules) cpSync(join(ROOT, 'node_modules', name), join(own, 'node_modules', name), { recursive: true, filter: isRun });
  // Made anew: what lies in dist may be older than the sources. It is run there for the manual, so what it needs has to be there.
  execFileSync(node, [join(ROOT, 'scripts/build.mjs'), join(own, 'dist')]);
  mkdirSync(join(product, 'usr/local/bin'), { recursive: true });
  // Without a shell there is no env to find Node.
  writeFileSync(join(product, 'usr/local/bin/sallyport'), `#!/usr/local/bin/node\nimport('/${PRODUCT}/bin/sallyport.js');\n`, {
    mode: 0o755,
  });

  const nsenter = realpathSync(onPath('nsenter'));
  put(nsenter, nsenter.slice(1));
  linkPlugin(join(product, PLUGIN), { node: '/usr/local/bin/node', script: `/${PRODUCT}/dist/cni-plugin.js` });
  const native = execFileSync('find', [own, '-name', '*.node'], { encoding: 'utf8' }).split('\n').filter(Boolean);
  for (const library of libraries([node, envoy, iptables, nsenter, ...extensions, ...native])) put(library, library.slice(1));
}

/** A folder of links to what the CNI plugin runs by on a node. @param own where the image has what is Sallyport's own */
export function linkPlugin(folder: string, own: { readonly node: string; readonly script: string }): void {
  const [iptables, nsenter] = ['xtables-nft-multi', 'nsenter'].map((name) => realpathSync(onPath(name)));
  const extensions = extensionFolder(iptables!);
  const files = [process.execPath, iptables!, nsenter!, ...EXTENSIONS.map((name) => join(extensions, name))];
  const loader = /\/ld-[^/]*$/;
  const needed = [...libraries(files)];
  const links = [
    ['node', own.node],
    ['plugin.mjs', own.script],
    ['xtables-nft-multi', iptables],
    ['nsenter', nsenter],
    ['xtables', extensions],
    ['ld.so', needed.find((library) => loader.test(library))],
    ...needed.filter((library) => !loader.test(library)).map((library) => [join('lib', basename(library)), library]),
  ] as const;
  for (const [name, from] of links) linkTo(from!, join(folder, name!));
}

function linkTo(target: string, link: string): void {
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(target, link);
}

/** What the package needs where it runs, but Node itself; with what these need in turn, as far as it is for this machine. */
function dependencies(): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (folder: string) => {
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    for (const name of [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]) {
      const module = join(ROOT, 'node_modules', name);
      if (name === 'node' || found.has(name) || !existsSync(module)) continue;
      found.add(name);
      add(module);
    }
  };
  add(ROOT);
  return found;
}

/** Sources for compilers, types and documentation stay out; so do other C libraries' builds. Only at a package's top is `doc` documentation. */
function isRun(path: string): boolean {
  return !/\.(?:d\.[cm]?ts|map|md|cc|hh|h|inc|txt)$|\/node_modules\/[^/]+\/(?:doc|vendor)$|\/musl_[^/]*$/.test(path);
}

function libraries(binaries: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const binary of binaries) {
    const said = execFileSync('ldd', [binary], { encoding: 'utf8' });
    const missing = /^\s*(\S+) => not found/m.exec(said);
    if (missing)
      throw new SallyportError('image-incomplete', `${binary} needs ${missing[1]}, which this machine does not have: install it`);
    for (const [, path] of said.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) found.add(path!);
  }
  return found;
}

function onPath(name: string): string {
  const found = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (found === undefined) throw new SallyportError('image-incomplete', `there is no ${name} on this machine: install iptables`);
  return found;
}

/** Beside the libraries that iptables itself needs. */
function extensionFolder(iptables: string): string {
  const library = [...libraries([iptables])].find((path) => path.includes('libxtables'));
  const folder =
    library && [dirname(library), join('/usr', dirname(library))].map((folder) => join(folder, 'xtables')).find((path) => existsSync(path));
  if (!folder)
    throw new SallyportError(
      'image-incomplete',
      'the extensions of iptables are not beside its libraries: install iptables from the distribution',
    );
  return folder;
}

function authorities(): string {
  const file = '/etc/ssl/certs/ca-certificates.crt';
  if (!existsSync(file)) throw new SallyportError('image-incomplete', `there is no ${file} on this machine: install ca-certificates`);
  return file;
}

/** Equal trees give equal bytes. Renamed to what it is called in the archive. */
function layer(folder: string, archive: string): { readonly name: string; readonly id: string } {
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '--format=gnu'];
  execFileSync('tar', [...same, '-cf', archive, '-C', folder, '.']);
  const id = createHash('sha256').update(readFileSync(archive)).digest('hex');
  renameSync(archive, join(dirname(archive), `${id}.tar`));
  return { name: `${id}.tar`, id: `sha256:${id}` };
}

function writeImage(out: string, name: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-image-'));
  try {
    const [base, product] = [join(folder, 'base'), join(folder, 'product')];
    writeTree(base, product);
    const layers = [base, product].map((tree) => layer(tree, join(folder, 'layer.tar')));
    const about = { architecture: ARCHITECTURES[arch()] ?? arch(), os: 'linux', config: CONFIG };
    const config = JSON.stringify({ ...about, rootfs: { type: 'layers', diff_ids: layers.map(({ id }) => id) } });
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    writeFileSync(join(folder, configName), config);
    const names = layers.map((each) => each.name);
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify([{ Config: configName, RepoTags: [name], Layers: names }]));
    execFileSync('tar', ['-cf', out, '-C', folder, 'manifest.json', configName, ...names]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As written in a manifest: without a registry it is Docker Hub's for those who read it, so that it says so. */
export function imageName(): string {
  return `docker.io/library/sallyport:${productVersion()}`;
}

if (import.meta.main) {
  const [out, argument] = process.argv.slice(2);
  if (out === undefined) throw new SallyportError('usage', 'node scripts/image.ts OUT.tar [NAME], or --tree FOLDER');
  if (out === '--tree') {
    if (argument === undefined) throw new SallyportError('usage', '--tree needs the folder to write to');
    writeTree(argument, argument);
  } else writeImage(out, argument ?? imageName());
}
