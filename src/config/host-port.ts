// A network address as people write it: HOST:PORT, an IPv6 host in brackets.
// Used for the addresses heatsink listens on and for the nodes of an upstream URL.

export interface HostPort {
  /** A name or an IP address; IPv6 without its brackets. */
  readonly host: string;
  /** 0 to 65535; 0 asks the system for a free port where heatsink listens. */
  readonly port: number;
}

const BRACKETED = /^\[([0-9a-f:.]+(?:%[\w.-]+)?)\](?::(\d{1,5}))?$/i;
const PLAIN = /^([^\s:[\]/@]+)(?::(\d{1,5}))?$/;

/** Reads HOST:PORT. Without `defaultPort` the port must be there. Null when the text is no address. */
export function parseHostPort(text: string, defaultPort?: number): HostPort | null {
  const [, host, digits] = BRACKETED.exec(text) ?? PLAIN.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || port === undefined || port > 65535) return null;
  return { host, port };
}

/** The inverse of `parseHostPort`. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
