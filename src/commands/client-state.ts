// What heatsink remembers of one client's connection, and the rules by which Redis lets a client change it.

import { errorReply } from '../resp3/encode.ts';

export interface ClientState {
  readonly id: number;
  /** Empty when none was given. */
  name: string;
  protocol: 2 | 3;
  db: number;
  /** By CLIENT SETINFO; empty when not told. */
  libName: string;
  libVer: string;
  /** `host:port` of the client, and of the side that it connected to. */
  readonly address: string;
  readonly localAddress: string;
  /** The user that it is, whether that is one of heatsink's own, and whether it has shown so or need not. */
  readonly user: string;
  readonly ownUser: boolean;
  readonly authenticated: boolean;
  /** Makes it that user; a null name is AUTH's form without one. Bytes are latin1. The error reply, or null. */
  authenticate(name: string | null, password: string): Buffer | null;
  /** Set when the connection is to be closed after the reply. */
  closing: boolean;
  /**
   * Gives up all that the upstream keeps for this client alone (transaction, subscriptions, tracking, MONITOR) and
   * the user that it is.
   */
  forget(): void;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** Whether the text may stand in CLIENT LIST: printable ASCII without spaces. */
export function isPlain(text: string): boolean {
  return /^[!-~]*$/.test(text);
}

/** Gives the client its name; an empty one takes it away. Returns the error reply for one that Redis refuses. */
export function setName(client: ClientState, name: string): Buffer | null {
  if (!isPlain(name)) {
    return errorReply('ERR Client names cannot contain spaces, newlines or special characters.');
  }
  client.name = name;
  return null;
}

/** A decimal 64-bit integer as strictly as Redis reads one, or null: no plus, spaces or leading zeros. */
export function parseInteger(text: string): bigint | null {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return null;
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value ? value : null;
}
