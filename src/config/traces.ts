// Whether and how requests are traced, from the environment variables that all of OpenTelemetry goes by.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

export interface TraceSettings {
  /** Of all requests, above 0 and up to 1. */
  readonly share: number;
  /** Milliseconds between two exports. */
  readonly every: number;
  /** Spans that wait for an export at the most, and that go together. */
  readonly queue: number;
  readonly batch: number;
}

export interface TracesAsked {
  /** Null when nothing is to be traced. */
  readonly settings: TraceSettings | null;
  /** What was given and is not heeded, and why. */
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Of all requests, when no sampler says so: a proxy sees too many of them to trace each. */
const SHARE = 0.001;
/** By the specification: in milliseconds, and in spans. */
const EVERY = 5000;
const QUEUE = 2048;
const BATCH = 512;
const ENDPOINTS = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];
const PROTOCOLS = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'];
const SPEAKS = 'http/protobuf';

/** Never fails: what is wrong in an environment that others share must not keep heatsink from serving. */
export function readTraceSettings(env: Environment): TracesAsked {
  const warnings: string[] = [];
  const given = (name: string) => env[name]?.trim() || undefined;
  const off = { settings: null, warnings };
  const exporter = given('OTEL_TRACES_EXPORTER')?.toLowerCase();
  if (given('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporter === 'none') return off;
  if (exporter === undefined && !ENDPOINTS.some(given)) return off;
  if (exporter !== undefined && exporter !== 'otlp') {
    warnings.push(`OTEL_TRACES_EXPORTER is ${exporter}: it may be otlp or none; nothing is traced`);
    return off;
  }
  const protocol = PROTOCOLS.find(given);
  if (protocol !== undefined && given(protocol) !== SPEAKS)
    warnings.push(`${protocol} is ${given(protocol)}: traces are sent by ${SPEAKS}`);
  const number = (name: string, otherwise: number, fits: (value: number) => boolean) => {
    const text = given(name);
    if (text === undefined) return otherwise;
    if (fits(Number(text))) return Number(text);
    warnings.push(`${name} is ${text}, which it cannot be: ${otherwise} is taken`);
    return otherwise;
  };
  const count = (name: string, otherwise: number) =>
    number(name, otherwise, (value) => Number.isSafeInteger(value) && value > 0);
  const queue = count('OTEL_BSP_MAX_QUEUE_SIZE', QUEUE);
  const settings = {
    share: shareOf(given('OTEL_TRACES_SAMPLER'), number, warnings),
    every: count('OTEL_BSP_SCHEDULE_DELAY', EVERY),
    queue,
    batch: Math.min(count('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', BATCH), queue),
  };
  return settings.share === 0 ? off : { settings, warnings };
}

/** Redis clients send no context of a trace, so that what a sampler does with a parent never comes to pass. */
function shareOf(
  sampler: string | undefined,
  number: (name: string, otherwise: number, fits: (value: number) => boolean) => number,
  warnings: string[],
): number {
  const ratio = (otherwise: number) =>
    number('OTEL_TRACES_SAMPLER_ARG', otherwise, (value) => value >= 0 && value <= 1);
  switch (sampler?.replace('parentbased_', '')) {
    case undefined:
      return ratio(SHARE);
    case 'always_on':
      return 1;
    case 'always_off':
      return 0;
    case 'traceidratio':
      return ratio(1);
    default:
      warnings.push(`OTEL_TRACES_SAMPLER is ${sampler}, which heatsink does not have: ${SHARE} are traced`);
      return SHARE;
  }
}
