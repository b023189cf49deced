// What commands about the connection, which the server executes inside a transaction, change about their client.

import { argumentText } from '../../commands/argument.ts';
import { parseInteger, setName } from '../../commands/client-state.ts';
import type { Command } from '../../commands/command.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { Session } from '../session.ts';
import type { Transaction } from './transaction.ts';

/** Notes what that command, which is queued, changes once it is executed. `databases`: how many the server has. */
export function noteEffect(
  session: Session,
  { effects }: Transaction,
  frame: RequestFrame,
  { name }: Command,
  databases: number,
): void {
  if (name === 'client|setname' && frame.argc === 3) {
    const text = argumentText(frame, 2);
    effects.push(() => setName(session, text));
  }
  if ((name !== 'select' && name !== 'hello') || frame.argc !== 2) return;
  const number = parseInteger(argumentText(frame, 1));
  if (number === null) return;
  if (name === 'hello' && (number === 2n || number === 3n)) {
    effects.push(() => {
      session.protocol = number === 3n ? 3 : 2;
    });
  } else if (name === 'select' && number >= 0n && number < databases) {
    effects.push(() => {
      session.db = Number(number);
    });
  }
}
