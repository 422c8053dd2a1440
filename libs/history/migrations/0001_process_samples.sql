-- One row per process and round in which something of it changed. A null cell has no new value: the last one holds.
-- `batch` names the batch that brought the row, so that the writer can tell after a crash what is already here.
CREATE TABLE IF NOT EXISTS process_samples
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    batch UInt64 CODEC(DoubleDelta, ZSTD(1)),
    state LowCardinality(Nullable(String)),
    ppid Nullable(UInt64) CODEC(ZSTD(3)),
    pgrp Nullable(UInt64) CODEC(ZSTD(3)),
    session Nullable(UInt64) CODEC(ZSTD(3)),
    threads Nullable(UInt64) CODEC(ZSTD(3)),
    utime Nullable(UInt64) CODEC(ZSTD(3)),
    stime Nullable(UInt64) CODEC(ZSTD(3)),
    minflt Nullable(UInt64) CODEC(ZSTD(3)),
    majflt Nullable(UInt64) CODEC(ZSTD(3)),
    vms Nullable(UInt64) CODEC(ZSTD(3)),
    rss Nullable(UInt64) CODEC(ZSTD(3)),
    shared Nullable(UInt64) CODEC(ZSTD(3)),
    text Nullable(UInt64) CODEC(ZSTD(3)),
    data Nullable(UInt64) CODEC(ZSTD(3)),
    lib Nullable(UInt64) CODEC(ZSTD(3)),
    dirty Nullable(UInt64) CODEC(ZSTD(3)),
    rss_anon Nullable(UInt64) CODEC(ZSTD(3)),
    rss_file Nullable(UInt64) CODEC(ZSTD(3)),
    rss_shmem Nullable(UInt64) CODEC(ZSTD(3)),
    swap Nullable(UInt64) CODEC(ZSTD(3)),
    pss Nullable(UInt64) CODEC(ZSTD(3)),
    uss Nullable(UInt64) CODEC(ZSTD(3))
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (node, boot, pid, start, at)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- One row per process and minute; without GROUP BY, because the engine folds the rows when it writes and merges.
CREATE TABLE IF NOT EXISTS process_samples_1m
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    time DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    last_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(DoubleDelta, ZSTD(1)),
    ppid_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    threads_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    utime_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    stime_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    minflt_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    majflt_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    vms_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    shared_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    text_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    data_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    lib_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    dirty_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_anon_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_file_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_shmem_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    swap_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    pss_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    uss_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_anon_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_anon_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    swap_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    swap_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    pss_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    pss_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    uss_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    uss_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(time)
ORDER BY (node, boot, pid, start, time)
SETTINGS index_granularity = 2048, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS process_samples_1m_view TO process_samples_1m AS
SELECT
    node,
    boot,
    pid,
    start,
    toStartOfMinute(at) AS time,
    at AS last_at,
    ppid AS ppid_last,
    threads AS threads_last,
    utime AS utime_last,
    stime AS stime_last,
    minflt AS minflt_last,
    majflt AS majflt_last,
    vms AS vms_last,
    rss AS rss_last,
    shared AS shared_last,
    text AS text_last,
    data AS data_last,
    lib AS lib_last,
    dirty AS dirty_last,
    rss_anon AS rss_anon_last,
    rss_file AS rss_file_last,
    rss_shmem AS rss_shmem_last,
    swap AS swap_last,
    pss AS pss_last,
    uss AS uss_last,
    rss AS rss_min,
    rss AS rss_max,
    rss_anon AS rss_anon_min,
    rss_anon AS rss_anon_max,
    swap AS swap_min,
    swap AS swap_max,
    pss AS pss_min,
    pss AS pss_max,
    uss AS uss_min,
    uss AS uss_max
FROM process_samples;

-- One row per process and hour; without GROUP BY, because the engine folds the rows when it writes and merges.
CREATE TABLE IF NOT EXISTS process_samples_1h
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    time DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    last_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(DoubleDelta, ZSTD(1)),
    ppid_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    threads_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    utime_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    stime_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    minflt_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    majflt_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    vms_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    shared_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    text_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    data_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    lib_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    dirty_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_anon_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_file_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_shmem_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    swap_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    pss_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    uss_last SimpleAggregateFunction(anyLast, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_anon_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    rss_anon_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    swap_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    swap_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    pss_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    pss_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3)),
    uss_min SimpleAggregateFunction(min, Nullable(UInt64)) CODEC(ZSTD(3)),
    uss_max SimpleAggregateFunction(max, Nullable(UInt64)) CODEC(ZSTD(3))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (node, boot, pid, start, time)
SETTINGS index_granularity = 2048, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS process_samples_1h_view TO process_samples_1h AS
SELECT
    node,
    boot,
    pid,
    start,
    toStartOfHour(at) AS time,
    at AS last_at,
    ppid AS ppid_last,
    threads AS threads_last,
    utime AS utime_last,
    stime AS stime_last,
    minflt AS minflt_last,
    majflt AS majflt_last,
    vms AS vms_last,
    rss AS rss_last,
    shared AS shared_last,
    text AS text_last,
    data AS data_last,
    lib AS lib_last,
    dirty AS dirty_last,
    rss_anon AS rss_anon_last,
    rss_file AS rss_file_last,
    rss_shmem AS rss_shmem_last,
    swap AS swap_last,
    pss AS pss_last,
    uss AS uss_last,
    rss AS rss_min,
    rss AS rss_max,
    rss_anon AS rss_anon_min,
    rss_anon AS rss_anon_max,
    swap AS swap_min,
    swap AS swap_max,
    pss AS pss_min,
    pss AS pss_max,
    uss AS uss_min,
    uss AS uss_max
FROM process_samples;
