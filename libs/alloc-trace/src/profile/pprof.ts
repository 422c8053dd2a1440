import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { StackFrame } from '@tidemark/contracts';
import {
  Function as PprofFunction,
  Line,
  Location,
  Mapping,
  Profile,
  StringTable,
  ValueType,
  type SampleInput,
} from 'pprof-format';
import { baseName } from './frame-name.js';
import { measured, type ProfiledSite, type TraceProfile } from './trace-profile.js';

const compress = promisify(gzip);

/**
 * The profile as gzipped profile.proto (github.com/google/pprof), with the four sample types of heap profiles; what is
 * shown first is inuse_space. Stacks keep inlined functions as further lines of their location. Each sample is labelled with
 * the number of its site and its verdict: `pprof -tagfocus=verdict=SUSPECTED`.
 *
 * Addresses are those of the calls, as the object's file counts them, so that each mapping begins at 0.
 */
export async function encodePprof(profile: TraceProfile): Promise<Buffer> {
  return compress(pprofMessage(profile).encode());
}

const SAMPLE_TYPES = [
  ['alloc_objects', 'count'],
  ['alloc_space', 'bytes'],
  ['inuse_objects', 'count'],
  ['inuse_space', 'bytes'],
] as const;

interface Tables {
  strings: StringTable;
  mappings: Map<string, Mapping>;
  functions: Map<string, PprofFunction>;
  locations: Map<string, Location>;
}

function pprofMessage(profile: TraceProfile): Profile {
  const strings = new StringTable();
  const tables: Tables = { strings, mappings: new Map(), functions: new Map(), locations: new Map() };
  const typed = ([type, unit]: readonly [string, string]): ValueType =>
    new ValueType({ type: strings.dedup(type), unit: strings.dedup(unit) });
  const sampleType = SAMPLE_TYPES.map(typed);
  // Viewers take the first mapping for the program.
  const own = programFrame(profile);
  if (own?.module) mappingOf(own.module, own.buildId, 0, tables);
  const sample = profile.sites.flatMap((site) => sampleOf(site, tables));
  return new Profile({
    sampleType,
    sample,
    mapping: [...tables.mappings.values()],
    location: [...tables.locations.values()],
    function: [...tables.functions.values()],
    stringTable: strings,
    timeNanos: nanoseconds(profile.startedAt),
    durationNanos: nanoseconds(profile.durationMs),
    periodType: typed(['space', 'bytes']),
    // Every byte is counted in exact mode.
    period: profile.sampleInterval === null ? 1 : Math.max(1, Math.round(profile.sampleInterval)),
    defaultSampleType: strings.dedup('inuse_space'),
    comment: comments(profile).map((text) => strings.dedup(text)),
  });
}

function programFrame({ sites, process }: TraceProfile): StackFrame | undefined {
  for (const { stack } of sites) {
    const found = stack.frames.find(({ module }) => module !== null && baseName(module) === process.program);
    if (found !== undefined) return found;
  }
  return undefined;
}

function nanoseconds(milliseconds: number): bigint {
  return Number.isFinite(milliseconds) && milliseconds > 0 ? BigInt(Math.round(milliseconds * 1000)) * 1000n : 0n;
}

function comments({ process, mode, totals }: TraceProfile): string[] {
  const all = [`${process.program} (pid ${process.pid}), ${mode.toLowerCase()}`];
  if (totals.dropped > 0) all.push(`${totals.dropped} calls found no room and are not in here`);
  if (totals.standardError !== null) {
    all.push(`estimates; standard error of inuse_space ${Math.round(totals.standardError.liveBytes)} bytes`);
  }
  return all;
}

function sampleOf(site: ProfiledSite, tables: Tables): SampleInput[] {
  const [allocated, live] = [measured(site, 'ALLOCATED'), measured(site, 'LIVE')];
  const value = [allocated.blocks, allocated.bytes, live.blocks, live.bytes].map(Math.round);
  if (value.every((one) => one === 0)) return [];
  const { strings } = tables;
  return [
    {
      locationId: locationIds(site.stack.frames, tables),
      value,
      label: [
        { key: strings.dedup('verdict'), str: strings.dedup(site.verdict) },
        { key: strings.dedup('site'), num: site.figures.site },
      ],
    },
  ];
}

/** Innermost first. What is inlined and the function around it are one location. */
function locationIds(frames: readonly StackFrame[], tables: Tables): number[] {
  const ids: number[] = [];
  let from = 0;
  for (let at = 0; at < frames.length; at++) {
    if (frames[at]!.inlined && at + 1 < frames.length) continue;
    ids.push(Number(locationOf(frames.slice(from, at + 1), tables).id));
    from = at + 1;
  }
  return ids;
}

function locationOf(frames: readonly StackFrame[], tables: Tables): Location {
  const last = frames.at(-1)!;
  const address = Math.max(0, last.offset - 1);
  const mappingId = last.module === null ? 0 : mappingOf(last.module, last.buildId, address, tables);
  const lines = frames.flatMap((frame) =>
    frame.function === null ? [] : [{ functionId: functionOf(frame, tables), line: frame.line ?? 0 }],
  );
  const key = `${mappingId} ${last.offset}${lines.map(({ functionId, line }) => ` ${functionId}:${line}`).join('')}`;
  let location = tables.locations.get(key);
  if (location === undefined) {
    const id = tables.locations.size + 1;
    location = new Location({ id, mappingId, address, line: lines.map((line) => new Line(line)) });
    tables.locations.set(key, location);
  }
  return location;
}

const PAGE = 4096;

function mappingOf(module: string, buildId: string | null, address: number, tables: Tables): number {
  const key = `${module}\0${buildId ?? ''}`;
  let mapping = tables.mappings.get(key);
  if (mapping === undefined) {
    mapping = new Mapping({
      id: tables.mappings.size + 1,
      memoryStart: 0,
      memoryLimit: 0,
      fileOffset: 0,
      filename: tables.strings.dedup(module),
      buildId: tables.strings.dedup(buildId ?? ''),
      // What has no name here has none that a viewer would find: it needs not look.
      hasFunctions: true,
      hasFilenames: true,
      hasLineNumbers: true,
      hasInlineFrames: true,
    });
    tables.mappings.set(key, mapping);
  }
  mapping.memoryLimit = Math.max(Number(mapping.memoryLimit), (Math.floor(address / PAGE) + 1) * PAGE);
  return Number(mapping.id);
}

function functionOf({ function: name, file }: StackFrame, tables: Tables): number {
  const key = `${name}\0${file ?? ''}`;
  const known = tables.functions.get(key);
  if (known !== undefined) return Number(known.id);
  const text = tables.strings.dedup(name ?? '');
  const id = tables.functions.size + 1;
  const filename = tables.strings.dedup(file ?? '');
  tables.functions.set(key, new PprofFunction({ id, name: text, systemName: text, filename, startLine: 0 }));
  return id;
}
