-- Every verdict as it came; `record` is the whole of it as JSON, the columns are what is asked for.
CREATE TABLE IF NOT EXISTS findings
(
    id String CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC'),
    batch UInt64 CODEC(DoubleDelta, ZSTD(1)),
    opened_at DateTime64(3, 'UTC'),
    node LowCardinality(String),
    kind LowCardinality(String),
    state LowCardinality(String),
    previous LowCardinality(String),
    imminent Bool,
    confidence Float64,
    subject String CODEC(ZSTD(1)),
    service String CODEC(ZSTD(1)),
    program Nullable(String) CODEC(ZSTD(1)),
    user Nullable(String) CODEC(ZSTD(1)),
    pid Nullable(UInt64),
    bytes UInt64,
    record String CODEC(ZSTD(3))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (id, at)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- The newest record of every finding.
CREATE TABLE IF NOT EXISTS findings_current
(
    id String CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC'),
    batch UInt64 CODEC(DoubleDelta, ZSTD(1)),
    opened_at DateTime64(3, 'UTC'),
    node LowCardinality(String),
    kind LowCardinality(String),
    state LowCardinality(String),
    previous LowCardinality(String),
    imminent Bool,
    confidence Float64,
    subject String CODEC(ZSTD(1)),
    service String CODEC(ZSTD(1)),
    program Nullable(String) CODEC(ZSTD(1)),
    user Nullable(String) CODEC(ZSTD(1)),
    pid Nullable(UInt64),
    bytes UInt64,
    record String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY id
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS findings_current_view TO findings_current AS
SELECT
    id,
    at,
    batch,
    opened_at,
    node,
    kind,
    state,
    previous,
    imminent,
    confidence,
    subject,
    service,
    program,
    user,
    pid,
    bytes,
    record
FROM findings;

-- The newest acknowledgement of every finding.
CREATE TABLE IF NOT EXISTS acknowledgements
(
    id String CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC'),
    batch UInt64,
    subject String CODEC(ZSTD(1)),
    note Nullable(String) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY id
SETTINGS non_replicated_deduplication_window = 1000;
