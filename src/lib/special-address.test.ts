import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from './ip.ts';
import { isNear, isNearRange, specialUse } from './special-address.ts';

const use = (text: string) => specialUse(parseIp(text)!);

test('addresses of special use, also where IPv6 holds one of IPv4', () => {
  const special = {
    loopback: ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1', '::127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::'],
    private: [
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      'fd00::1',
      'fec0::1',
      '::ffff:10.0.0.1',
      '2002:a00:1::9',
      '64:ff9b:1::a00:1',
    ],
    'link-local': ['169.254.169.254', 'fe80::1', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe'],
    shared: ['100.64.0.1', '100.127.255.255'],
    unspecified: ['0.0.0.0', '0.1.2.3', '::'],
    multicast: ['224.0.0.1', '239.255.255.250', 'ff02::1'],
    reserved: ['240.0.0.1', '255.255.255.255', '198.18.0.1', '192.0.0.8', '64:ff9b:1::808:808'],
  };
  for (const [word, addresses] of Object.entries(special))
    for (const each of addresses) assert.match(use(each) ?? '', new RegExp(` ${word} `), each);
  for (const each of [
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '198.51.100.7',
    '2001:db8::1',
    '2606:4700::1111',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::',
  ])
    assert.equal(use(each), undefined, each);
});

test('near is what is on this machine or in a private network, of ranges the whole of it', () => {
  for (const near of ['127.0.0.1', '10.1.2.3', '::1', 'fd00::1', '::ffff:192.168.0.1']) assert.ok(isNear(parseIp(near)!), near);
  for (const far of ['8.8.8.8', '169.254.169.254', '100.64.0.1', '0.0.0.0', '::']) assert.ok(!isNear(parseIp(far)!), far);
  for (const near of ['10.0.0.0/8', '10.9.0.0/16', '127.0.0.1', '::1', 'fd00::/8', '172.16.0.0/12']) assert.ok(isNearRange(near), near);
  for (const far of ['10.0.0.0/7', '0.0.0.0/0', '192.168.0.0/15', '::/0', '8.8.8.8', 'a.example', '']) assert.ok(!isNearRange(far), far);
});
