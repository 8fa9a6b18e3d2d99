/** A real squid that asks for a password, for tests. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../src/lib/free-port.ts';
import { findTool } from './tools.ts';

export interface Squid {
  readonly port: number;
  /** Ends it. What it logged, `METHOD TARGET STATUS USER` a line. */
  stop(): Promise<string[]>;
}

/** Where Debian has the programs that check passwords. */
const HELPERS = '/usr/lib/squid';

/**
 * Starts it on a loopback port.
 * @param names which it knows, all of them at 127.0.0.1; it asks no DNS server for others
 * @param password of the user `user`; without, it asks for none
 */
export async function startSquid(t: TestContext, names: readonly string[], password?: string): Promise<Squid> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-squid-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // Started by root, it works as a user of its own.
  chmodSync(folder, 0o777);
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const port = await freePort();
  const log = join(folder, 'access.log');
  const check =
    password === undefined
      ? []
      : [
          `auth_param basic program ${HELPERS}/basic_fake_auth`,
          'auth_param basic realm company',
          // The program takes any password; which one it was the rule below looks at.
          `acl known proxy_auth user`,
          `acl header req_header Proxy-Authorization ^Basic.${Buffer.from(`user:${password}`).toString('base64').replace(/[+=/]/g, '.')}$`,
          'http_access deny !known',
          'http_access deny !header',
        ];
  const config = file(
    'squid.conf',
    [
      `http_port 127.0.0.1:${port}`,
      `pid_filename ${join(folder, 'pid')}`,
      'logformat short %rm %ru %>Hs %un',
      `access_log stdio:${log} short`,
      `cache_log ${join(folder, 'cache.log')}`,
      `coredump_dir ${folder}`,
      'cache deny all',
      'pinger_enable off',
      'shutdown_lifetime 0 seconds',
      'visible_hostname company',
      'dns_nameservers 127.0.0.1:1',
      'dns_timeout 1 second',
      `hosts_file ${file('hosts', names.map((name) => `127.0.0.1 ${name}\n`).join(''))}`,
      ...check,
      'http_access allow localhost',
      'http_access deny all',
      '',
    ].join('\n'),
  );
  const child = spawn(findTool('squid')!, ['-N', '-d', '1', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    return readFileSync(log, 'utf8').trim().split('\n');
  };
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('Accepting HTTP Socket connections')) resolve();
    });
    void ended.then(() => reject(new Error(said)));
  });
  return { port, stop };
}
