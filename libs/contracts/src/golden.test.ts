import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeAllocationChunk } from './allocation-chunk-decode.js';
import { encodeAllocationChunk } from './allocation-chunk-encode.js';
import type { AllocationChunk } from './allocation-chunk.js';
import { decodeControlRecord, encodeControlRecord } from './control-record.js';
import { decompress, ENCODING_HEADER } from './encoding.js';
import { decodeFindingRecord, encodeFindingRecord } from './finding.js';
import { decodeNodeRecord, encodeNodeRecord } from './node-record.js';
import { FORMAT_HEADER, PACKED_FORMAT } from './packed-chunk.js';
import { decodeSampleChunk, encodeSampleChunk, type EncodedRecord, type SampleChunk } from './sample-chunk.js';

/*
 * The files in testdata are records as version 1 wrote them. They are never written anew: a build that cannot read
 * them cannot read what is in the log, and one that writes other bytes for the same record changed the contract.
 */

type Headers = Readonly<Record<string, string>>;

const contracts: {
  name: string;
  decode: (value: Uint8Array, headers: Headers) => never;
  encode: (record: never) => EncodedRecord;
}[] = [
  { name: 'sample-chunk.v1', decode: decodeSampleChunk as never, encode: asJson },
  { name: 'node-record.v1', decode: decodeNodeRecord as never, encode: encodeNodeRecord },
  { name: 'finding.v1', decode: decodeFindingRecord as never, encode: encodeFindingRecord },
  { name: 'acknowledgement.v1', decode: decodeFindingRecord as never, encode: encodeFindingRecord },
  { name: 'trace-request.v1', decode: decodeControlRecord as never, encode: encodeControlRecord },
  { name: 'trace-status.v1', decode: decodeControlRecord as never, encode: encodeControlRecord },
];

/** How chunks were written before they were packed, and are where they cannot be. */
function asJson(chunk: never): EncodedRecord {
  return { value: Buffer.from(JSON.stringify(chunk)), headers: {} };
}

function golden(file: string): Buffer {
  return readFileSync(join(import.meta.dirname, '..', 'testdata', file));
}

describe.each(contracts)('$name', ({ name, decode, encode }) => {
  const json = golden(`${name}.json`);

  test('is read from the bytes that were once written, plain and compressed', () => {
    const record: unknown = JSON.parse(json.toString());
    expect(decode(json, { [ENCODING_HEADER]: 'identity' })).toEqual(record);
    expect(decode(Buffer.from(json), {})).toEqual(record);
    expect(decode(golden(`${name}.json.gz`), { [ENCODING_HEADER]: 'gzip' })).toEqual(record);
  });

  test('is written as the very bytes that were once written', () => {
    const { value, headers } = encode(decode(json, {}));
    expect(Buffer.from(decompress(value, headers[ENCODING_HEADER])).toString()).toBe(json.toString());
  });

  test('with a field that this build does not know is read all the same', () => {
    const newer = { ...(JSON.parse(json.toString()) as object), addedLater: { any: ['thing'] } };
    expect(decode(Buffer.from(JSON.stringify(newer)), {})).toMatchObject(JSON.parse(json.toString()) as object);
  });
});

describe('allocation-chunk.v1', () => {
  const bytes = golden('allocation-chunk.v1.bin');
  const chunk = JSON.parse(golden('allocation-chunk.v1.json').toString()) as AllocationChunk;

  test('is read from the bytes that were once written', () => {
    expect(decodeAllocationChunk(bytes, { [ENCODING_HEADER]: 'identity' })).toEqual(chunk);
  });

  test('is written as the very bytes that were once written', () => {
    const { value, headers } = encodeAllocationChunk(chunk);
    expect(Buffer.compare(decompress(value, headers[ENCODING_HEADER]), bytes)).toBe(0);
  });
});

describe('sample-chunk.v1, packed', () => {
  const bytes = golden('sample-chunk.v1.columns2');
  const older = golden('sample-chunk.v1.columns');
  const headers = { [FORMAT_HEADER]: PACKED_FORMAT };
  const chunk = JSON.parse(golden('sample-chunk.v1.json').toString()) as SampleChunk;

  test('is read from the bytes that were once written', () => {
    expect(decodeSampleChunk(bytes, headers)).toEqual(chunk);
    expect(decodeSampleChunk(older, { [FORMAT_HEADER]: 'columns' })).toEqual(chunk);
  });

  test('is written as the very bytes that were once written', () => {
    const { value, headers: written } = encodeSampleChunk(chunk);
    expect(written).toMatchObject(headers);
    expect(Buffer.compare(decompress(value, written[ENCODING_HEADER]), bytes)).toBe(0);
  });
});
