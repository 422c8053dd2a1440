-- The detector's state of every series, so that a restart does not forget what was learnt.
CREATE TABLE IF NOT EXISTS leak_states
(
    node LowCardinality(String),
    key String CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC'),
    snapshot String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (node, key)
SETTINGS non_replicated_deduplication_window = 1000;
