-- The detector's state of every process, so that a restart does not forget what was learnt.
CREATE TABLE IF NOT EXISTS leak_states
(
    node LowCardinality(String),
    boot LowCardinality(String),
    pid UInt32 CODEC(ZSTD(1)),
    start UInt64 CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC'),
    snapshot String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (node, boot, pid, start)
SETTINGS non_replicated_deduplication_window = 1000;
