// Spans of traces by OpenTelemetry's own libraries, which are loaded with this file: only when something is traced.
// https://opentelemetry.io/docs/specs/semconv/db/redis/

import { hostname } from 'node:os';
import { ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace as traceApi } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import {
  ATTR_DB_NAMESPACE,
  ATTR_DB_OPERATION_NAME,
  ATTR_DB_RESPONSE_STATUS_CODE,
  ATTR_DB_SYSTEM_NAME,
  ATTR_ERROR_TYPE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
} from '@opentelemetry/semantic-conventions';
import type { Logger } from 'pino';
import type { TraceSettings } from '../config/traces.ts';
import type { Trace } from '../proxy/tracing/trace.ts';

export interface Spans {
  /** Makes the spans of a request that has ended: one of the client's request, and one of its round trip upstream. */
  record(trace: Trace): void;
  /** Sends what waits. */
  close(): Promise<void>;
}

export interface SpansOptions {
  readonly settings: TraceSettings;
  readonly worker: number;
  readonly version: string;
  readonly log: Logger;
}

/** Resolves whether or not the collector can be reached, which shows later, and changes nothing for clients. */
export function createSpans({ settings, worker, version, log }: SpansOptions): Spans {
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(
        resourceFromAttributes({
          [ATTR_SERVICE_NAME]: 'heatsink',
          [ATTR_SERVICE_VERSION]: version,
          'host.name': hostname(),
          'process.pid': process.pid,
          'heatsink.worker': worker,
        }),
      )
      .merge(detectResources({ detectors: [envDetector] })),
    // Who is traced was drawn already.
    sampler: new AlwaysOnSampler(),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: sayingTrouble(new OTLPTraceExporter(), log),
        scheduledDelayMillis: settings.every,
        maxQueueSize: settings.queue,
        maxExportBatchSize: settings.batch,
      }),
    ],
  });
  const tracer = provider.getTracer('heatsink', version);
  return {
    record(trace) {
      const { command, db, begunAt, endedAt, upstream } = trace;
      const common = {
        [ATTR_DB_SYSTEM_NAME]: 'redis',
        [ATTR_DB_OPERATION_NAME]: command,
        [ATTR_DB_NAMESPACE]: `${db}`,
      };
      const served = tracer.startSpan(command, {
        kind: SpanKind.SERVER,
        startTime: begunAt,
        attributes: { ...common, ...serverAt(trace.door), 'heatsink.outcome': trace.outcome },
      });
      if (upstream !== null) {
        const asked = tracer.startSpan(
          command,
          {
            kind: SpanKind.CLIENT,
            startTime: upstream.begunAt,
            attributes: {
              ...common,
              [ATTR_SERVER_ADDRESS]: upstream.host,
              [ATTR_SERVER_PORT]: upstream.port,
            },
          },
          traceApi.setSpan(ROOT_CONTEXT, served),
        );
        end(asked, trace, endedAt);
      }
      end(served, trace, endedAt);
    },
    close: () => provider.shutdown(),
  };
}

/** `host:port`, where the host may be an IPv6 address. */
function serverAt(door: string) {
  const colon = door.lastIndexOf(':');
  return { [ATTR_SERVER_ADDRESS]: door.slice(0, colon), [ATTR_SERVER_PORT]: Number(door.slice(colon + 1)) };
}

function end(span: Span, { code, failure }: Trace, at: number): void {
  if (failure !== '') {
    span.setStatus({ code: SpanStatusCode.ERROR });
    span.setAttribute(ATTR_ERROR_TYPE, failure);
    if (code !== '') span.setAttribute(ATTR_DB_RESPONSE_STATUS_CODE, code);
  }
  span.end(at);
}

/** Says once that spans cannot be exported, until they can be again. */
function sayingTrouble(exporter: OTLPTraceExporter, log: Logger): SpanExporter {
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.error !== undefined;
        if (failed && !failing) log.warn({ reason: reasonOf(result.error) }, 'traces cannot be exported');
        if (!failed && failing) log.info('traces can be exported again');
        failing = failed;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

/** An error of several addresses has no words of its own, but a code. */
function reasonOf(error: Error & { code?: string | number } = new Error()): string {
  return error.message || `${error.code ?? 'no reason given'}`;
}
