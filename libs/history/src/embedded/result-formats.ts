/** What the server says of a format in Content-Type; all others are plain text. */
const contentTypes: readonly (readonly [names: RegExp, type: string])[] = [
  [
    /^(JSON(Compact|Strings|CompactStrings|Columns|ColumnsWithMetadata|CompactColumns|Object\w*)?|GeoJSON)$/i,
    'application/json; charset=UTF-8',
  ],
  [/^(JSON\w*EachRow\w*|NDJSON|JSONLines)$/i, 'application/x-ndjson; charset=UTF-8'],
  [/^CSV$/i, 'text/csv; charset=UTF-8; header=absent'],
  [/^CSVWith\w+$/i, 'text/csv; charset=UTF-8; header=present'],
  [/^(TSV|TabSeparated|TSKV|TSVRaw|Raw|TabSeparatedRaw)\w*$/i, 'text/tab-separated-values; charset=UTF-8'],
  [/^XML$/i, 'application/xml; charset=UTF-8'],
  [
    /^(Native|RowBinary\w*|Parquet|Arrow|ArrowStream|ORC|Avro|MsgPack|BSONEachRow|Npy|CapnProto|Protobuf\w*|RawBLOB|MySQLWire)$/i,
    'application/octet-stream',
  ],
];

export function contentTypeOf(format: string): string {
  return contentTypes.find(([names]) => names.test(format))?.[1] ?? 'text/plain; charset=UTF-8';
}

/** Formats that report progress while they run: holding them back would defeat them. */
export function reportsProgress(format: string): boolean {
  return /WithProgress$/i.test(format);
}
