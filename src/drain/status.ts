// What a drain says of itself over HTTP: Prometheus metrics and health.

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { formatHostPort, type HostPort } from '../config/host-port.ts';

/** Counts what becomes of one job's batches. */
export interface JobMeter {
  applied(batch: { rows: number; sum: number; refused: number }): void;
  failed(): void;
  /** Hashes aside at the end of a round. */
  waiting(hashes: number): void;
  /** A round ended well. */
  succeeded(): void;
}

export interface Status {
  meter(job: string): JobMeter;
  /** Null when all jobs have succeeded in their last round; else why one has not. */
  trouble: string | null;
  /** Serves until `close`; rejects with the system's error when the address cannot be had. */
  listen(at: HostPort): Promise<{ address: string; close(): void }>;
}

export function createStatus(): Status {
  const registry = new Registry();
  const common = { registers: [registry], labelNames: ['job'] as const };
  const counter = (name: string, help: string) =>
    new Counter({ ...common, name: `heatsink_drain_${name}_total`, help });
  const gauge = (name: string, help: string) =>
    new Gauge({ ...common, name: `heatsink_drain_${name}`, help });
  const batches = counter('batches', 'Transactions that were committed');
  const rows = counter('rows', 'Rows of the table that were added to');
  const increments = counter('increments', 'Sum of what the batches added, each as a positive number');
  const rejected = counter(
    'rejected',
    'Values that could not be applied and are in the table of rejected ones',
  );
  const failures = counter('failures', 'Batches and rounds that failed and are tried again');
  const backlog = gauge('backlog', 'Hashes that were aside at the end of the last round');
  const success = gauge('last_success_timestamp_seconds', 'When the last round ended without a failure');
  collectDefaultMetrics({ register: registry });

  const status: Status = {
    trouble: 'no round has ended yet',
    meter(job) {
      for (const metric of [batches, rows, increments, rejected, failures]) metric.inc({ job }, 0);
      return {
        applied(batch) {
          batches.inc({ job });
          rows.inc({ job }, batch.rows);
          increments.inc({ job }, Math.abs(batch.sum));
          rejected.inc({ job }, batch.refused);
        },
        failed: () => failures.inc({ job }),
        waiting: (hashes) => backlog.set({ job }, hashes),
        succeeded: () => success.set({ job }, Date.now() / 1000),
      };
    },
    async listen(at) {
      const answer = async (path: string, response: ServerResponse) => {
        const send = (code: number, body: string, type = 'text/plain; charset=utf-8') => {
          response.writeHead(code, { 'content-type': type }).end(body);
        };
        if (path === '/metrics') send(200, await registry.metrics(), registry.contentType);
        else if (path === '/healthz') send(200, 'ok\n');
        else if (path === '/readyz') send(status.trouble === null ? 200 : 503, `${status.trouble ?? 'ok'}\n`);
        else send(404, 'there are /metrics, /healthz and /readyz\n');
      };
      const server = createServer(
        (request, response) => void answer((request.url ?? '').split('?')[0], response),
      );
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(at.port, at.host, resolve);
      });
      const { address: host, port } = server.address() as AddressInfo;
      return {
        address: formatHostPort({ host, port }),
        close() {
          server.close();
          server.closeAllConnections();
        },
      };
    },
  };
  return status;
}
