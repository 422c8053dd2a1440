-- Every heartbeat of every node.
CREATE TABLE IF NOT EXISTS heartbeats
(
    node LowCardinality(String),
    at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    batch UInt64 CODEC(DoubleDelta, ZSTD(1)),
    boot LowCardinality(String),
    run LowCardinality(String),
    state LowCardinality(String),
    hostname LowCardinality(String),
    kernel LowCardinality(String),
    architecture LowCardinality(String),
    cpus UInt64 CODEC(ZSTD(1)),
    page_size UInt64 CODEC(ZSTD(1)),
    booted_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    interval_ms UInt64 CODEC(ZSTD(1)),
    processes UInt64 CODEC(ZSTD(1)),
    limitations Array(String) CODEC(ZSTD(1)),
    collector_version LowCardinality(String),
    collector_pid UInt64 CODEC(ZSTD(1)),
    collector_started_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    rounds UInt64 CODEC(Delta, ZSTD(1)),
    cpu_ms Float64 CODEC(ZSTD(1)),
    rss UInt64 CODEC(ZSTD(1)),
    reads UInt64 CODEC(Delta, ZSTD(1)),
    opens UInt64 CODEC(Delta, ZSTD(1)),
    bytes_read UInt64 CODEC(Delta, ZSTD(1)),
    bytes_sent UInt64 CODEC(Delta, ZSTD(1)),
    spooled_bytes UInt64 CODEC(ZSTD(1)),
    dropped_bytes UInt64 CODEC(ZSTD(1)),
    dropped_chunks UInt64 CODEC(ZSTD(1)),
    lateness_ms Float64 CODEC(ZSTD(1)),
    skipped_rounds UInt64 CODEC(ZSTD(1)),
    clock_jumps UInt64 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (node, at)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- The newest heartbeat of every node.
CREATE TABLE IF NOT EXISTS nodes
(
    node LowCardinality(String),
    at DateTime64(3, 'UTC'),
    boot String,
    run String,
    state LowCardinality(String),
    hostname String,
    kernel String,
    architecture LowCardinality(String),
    cpus UInt64,
    page_size UInt64,
    booted_at DateTime64(3, 'UTC'),
    interval_ms UInt64,
    processes UInt64,
    limitations Array(String),
    collector_version LowCardinality(String)
)
ENGINE = ReplacingMergeTree(at)
ORDER BY node
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS nodes_view TO nodes AS
SELECT
    node,
    at,
    boot,
    run,
    state,
    hostname,
    kernel,
    architecture,
    cpus,
    page_size,
    booted_at,
    interval_ms,
    processes,
    limitations,
    collector_version
FROM heartbeats;
