/** Ports on which a connection starts with something else than TLS or HTTP, by IANA's service names and numbers. */

export interface PlainStart {
  readonly protocol: string;
  /** The server speaks first, and the client waits for it. */
  readonly serverFirst: boolean;
}

const serverFirst = (protocol: string): PlainStart => ({ protocol, serverFirst: true });
const clientFirst = (protocol: string): PlainStart => ({ protocol, serverFirst: false });

/** Where TLS is spoken on these ports, it is agreed upon later (STARTTLS and the like). */
export const PLAIN_STARTS: ReadonlyMap<number, PlainStart> = new Map([
  [21, serverFirst('FTP')],
  [22, serverFirst('SSH')],
  [23, serverFirst('Telnet')],
  [25, serverFirst('SMTP')],
  [110, serverFirst('POP3')],
  [119, serverFirst('NNTP')],
  [143, serverFirst('IMAP')],
  [389, clientFirst('LDAP')],
  [587, serverFirst('SMTP')],
  [1433, clientFirst('SQL Server')],
  [3306, serverFirst('MySQL')],
  [4190, serverFirst('ManageSieve')],
  [5222, clientFirst('XMPP')],
  [5269, clientFirst('XMPP')],
  [5432, clientFirst('PostgreSQL')],
]);
