-- Facts of every process ever seen, with the stretch in which it was seen; one row per process and month.
CREATE TABLE IF NOT EXISTS processes
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    month Date,
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    exited_at SimpleAggregateFunction(max, Nullable(DateTime64(3, 'UTC'))),
    started_at SimpleAggregateFunction(anyLast, Nullable(DateTime64(3, 'UTC'))),
    program SimpleAggregateFunction(anyLast, Nullable(String)) CODEC(ZSTD(1)),
    command_line SimpleAggregateFunction(anyLast, Nullable(String)) CODEC(ZSTD(3)),
    uid SimpleAggregateFunction(anyLast, Nullable(UInt64)),
    gid SimpleAggregateFunction(anyLast, Nullable(UInt64)),
    user SimpleAggregateFunction(anyLast, Nullable(String)) CODEC(ZSTD(1)),
    cgroup SimpleAggregateFunction(anyLast, Nullable(String)) CODEC(ZSTD(1)),
    service SimpleAggregateFunction(anyLast, Nullable(String)) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY month
ORDER BY (node, boot, pid, start)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;
