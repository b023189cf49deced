// Runs a long command with a line of progress every few seconds; its own output is shown only when it fails.
// Plain JavaScript for Node 20, as it runs before anything is installed.

import { spawn } from 'node:child_process';

const EVERY_MS = 5000;

/** A failure that its message explains in full. */
export class ProgressError extends Error {}

/** A line on standard error, which keeps standard output for the script that runs next. */
export function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

/** Resolves when the command has ended well; rejects with a ProgressError and prints its output otherwise. */
export function runWithProgress([command, ...args], options = {}) {
  const startedAt = Date.now();
  const seconds = () => `${Math.round((Date.now() - startedAt) / 1000)} s`;
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const output = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => output.push(chunk));
  const ticker = setInterval(() => say(`... ${seconds()}`), EVERY_MS);

  return new Promise((resolve, reject) => {
    const end = (problem) => {
      clearInterval(ticker);
      if (problem === null) {
        say(`done in ${seconds()}`);
        resolve();
        return;
      }
      process.stderr.write(Buffer.concat(output));
      reject(new ProgressError(`${[command, ...args].join(' ')} failed: ${problem}`));
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code, signal) => end(code === 0 ? null : (signal ?? `exit code ${code}`)));
  });
}
