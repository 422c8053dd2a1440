-- What allocation traces told. Chunks are cumulative and name a state at a time, so every table keeps the newest row of each
-- key, and rows that come twice fold into one. `trace` is the request that began it, `run` the run of the collector: site
-- numbers mean something within both only.

-- The newest state and totals of every trace.
CREATE TABLE IF NOT EXISTS allocation_traces
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32,
    start UInt64,
    trace String,
    run String,
    at DateTime64(3, 'UTC'),
    started_at DateTime64(3, 'UTC'),
    program String,
    command_line Nullable(String),
    state LowCardinality(String),
    means LowCardinality(String),
    mode LowCardinality(String),
    sample_interval Nullable(Float64),
    allocations Float64,
    frees Float64,
    allocated_bytes Float64,
    freed_bytes Float64,
    live_count Float64,
    live_bytes Float64,
    issued Float64,
    recorded Float64,
    cancelled Float64,
    dropped Float64,
    error_allocations Nullable(Float64),
    error_allocated_bytes Nullable(Float64),
    error_live_count Nullable(Float64),
    error_live_bytes Nullable(Float64),
    births_until DateTime64(3, 'UTC'),
    anonymous_bytes Nullable(UInt64),
    survivors_total UInt64,
    warnings Array(String)
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (node, boot, pid, start, trace)
SETTINGS non_replicated_deduplication_window = 1000;

-- Figures of every site over time: the last ones of each ten seconds in which they changed. A row holds until the next.
CREATE TABLE IF NOT EXISTS allocation_sites
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    trace LowCardinality(String),
    run LowCardinality(String),
    site UInt32 CODEC(ZSTD(1)),
    time DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    allocations Float64 CODEC(ZSTD(3)),
    frees Float64 CODEC(ZSTD(3)),
    allocated_bytes Float64 CODEC(ZSTD(3)),
    freed_bytes Float64 CODEC(ZSTD(3)),
    live_count Float64 CODEC(ZSTD(3)),
    live_bytes Float64 CODEC(ZSTD(3)),
    old_frees Float64 CODEC(ZSTD(3)),
    live_samples Float64 CODEC(ZSTD(3)),
    live_variance Float64 CODEC(ZSTD(3)),
    first_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    births_until DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    births Array(UInt64) CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(at)
PARTITION BY toDate(time)
ORDER BY (node, boot, pid, start, trace, run, site, time)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Which stack each site number stands for.
CREATE TABLE IF NOT EXISTS allocation_site_names
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    trace LowCardinality(String),
    run LowCardinality(String),
    site UInt32 CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    site_id String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (node, boot, pid, start, trace, run, site)
SETTINGS non_replicated_deduplication_window = 1000;

-- Every stack once, whichever processes and nodes it was met in; `frames` is JSON, innermost first.
CREATE TABLE IF NOT EXISTS allocation_stacks
(
    site_id String CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    truncated Bool,
    frames String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY site_id
SETTINGS non_replicated_deduplication_window = 1000;

-- Allocations at risk, as far as chunks name them: the oldest and the largest of each site. What was freed after all, or is
-- no longer among those, has `freed` set. A keyframe names all: older rows that it does not name are over, too.
CREATE TABLE IF NOT EXISTS unmatched_allocations
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    trace LowCardinality(String),
    run LowCardinality(String),
    address UInt64 CODEC(ZSTD(1)),
    time DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    freed Bool,
    keyframe Bool,
    site UInt32 CODEC(ZSTD(1)),
    size UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (node, boot, pid, start, trace, run, address, time)
SETTINGS non_replicated_deduplication_window = 1000;
