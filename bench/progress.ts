// One line that says how far the run is: rewritten in place on a terminal, plain lines elsewhere.

const started = performance.now();

/** Shows how far the run is, as a share from 0 to 1 of its whole, and what was measured last. */
export function progress(share: number, text: string): void {
  const seconds = (performance.now() - started) / 1000;
  const left = share > 0.02 ? `, about ${Math.ceil((seconds / share) * (1 - share))} s left` : '';
  const line = `${Math.round(share * 100)} % after ${Math.round(seconds)} s${left}: ${text}`;
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  } else {
    process.stderr.write(`${line}\n`);
  }
}

/** Takes the line off the terminal. */
export function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
}
