import type { Role } from './access.js';
import { roles } from './engine-config.js';
import { EngineException } from './exception.js';
import type { QueryRequest } from './request.js';

/** What a reader may not go beyond, and has when asking for nothing. */
export interface ReaderLimits {
  memoryBytes: number;
  executionSeconds: number;
}

/** Settings that can neither reach outside the query nor lift a limit; a reader may set these and no others. */
const readerMaySet = new RegExp(
  '^(' +
    [
      'max_(threads|block_size|rows_to_read|bytes_to_read|result_rows|result_bytes|rows_to_group_by|rows_to_sort|rows_in_join)',
      '(timeout|read|result|group_by|sort|join)_overflow_mode',
      'limit|offset|extremes|final|join_use_nulls|transform_null_in|prefer_column_name_to_alias|log_comment|session_timezone',
      'aggregate_functions_null_for_empty|group_by_use_nulls|short_circuit_function_evaluation',
      'date_time_output_format|allow_experimental_analyzer|enable_analyzer',
      'output_format_(json|csv|tsv|pretty|decimal|native|binary|parquet|arrow|markdown)_\\w+',
      'format_(csv|tsv)_\\w+',
      'http_(write_exception_in_output_format|headers_progress_interval_ms|zlib_compression_level|response_buffer_size|wait_end_of_query)',
      'send_progress_in_http_headers|cancel_http_readonly_queries_on_client_close|enable_http_compression',
    ].join('|') +
    ')$',
);

/** What every statement starts from: the embedded engine differs here from a server. */
const baseline = 'implicit_select = 0, allow_introspection_functions = 0';

/**
 * The statements that bring a fresh engine session to what the request asks for, as one text. Values stay literals,
 * whatever they hold; a wrong name or value is the engine's to refuse.
 *
 * @throws EngineException UNKNOWN_SETTING for what cannot be a setting's name, READONLY for what a reader may not set.
 */
export function prelude(request: QueryRequest, role: Role, limits: ReaderLimits): string {
  const statements = [`SET ${baseline}`];
  const settings = role === 'reader' ? readerSettings(request.settings, limits) : request.settings;
  if (settings.length > 0) statements.push(`SET ${assignments(settings)}`);
  for (const [name, value] of request.parameters) {
    if (!/^\w+$/.test(name))
      throw new EngineException(36, 'BAD_ARGUMENTS', `'${name}' is no name of a query parameter`);
    statements.push(`SET param_${name} = ${literal(value)}`);
  }
  if (request.database !== null && request.database !== 'default')
    statements.push(`USE ${identifier(request.database)}`);
  if (role === 'reader') statements.push(`SET ROLE ${roles.reader}`, 'SET readonly = 1');
  else if (request.roles.length > 0) statements.push(`SET ROLE ${request.roles.map(identifier).join(', ')}`);
  return statements.join(';\n');
}

/** The statements that set the values of a query's parameters; empty when it has none. */
export function parameterPrelude(parameters: QueryRequest['parameters']): string {
  return parameters
    .map(([name, value]) => {
      if (!/^\w+$/.test(name))
        throw new EngineException(36, 'BAD_ARGUMENTS', `'${name}' is no name of a query parameter`);
      return `SET param_${name} = ${literal(value)}`;
    })
    .join(';\n');
}

/** `a = '1', b = '2'` for a SET statement. */
export function assignments(settings: readonly (readonly [name: string, value: string])[]): string {
  return settings
    .map(([name, value]) => {
      if (!/^[A-Za-z_][\w.]*$/.test(name)) {
        throw new EngineException(115, 'UNKNOWN_SETTING', `Unknown setting '${name}'`);
      }
      return `${name} = ${literal(value)}`;
    })
    .join(', ');
}

function readerSettings(asked: QueryRequest['settings'], limits: ReaderLimits): [string, string][] {
  const kept: [string, string][] = [];
  const bounded = new Map([
    ['max_memory_usage', limits.memoryBytes],
    ['max_execution_time', limits.executionSeconds],
  ]);
  for (const [name, value] of asked) {
    if (name === 'readonly' && (value === '1' || value === '2')) continue;
    const bound = bounded.get(name);
    if (bound !== undefined) {
      const number = Number(value);
      // 0 means unlimited.
      if (Number.isFinite(number) && number > 0) bounded.set(name, Math.min(bound, number));
    } else if (readerMaySet.test(name)) kept.push([name, value]);
    else throw new EngineException(164, 'READONLY', `Cannot modify '${name}' setting in readonly mode`);
  }
  return [...kept, ...[...bounded].map(([name, value]): [string, string] => [name, String(value)])];
}

function literal(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

function identifier(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``;
}
