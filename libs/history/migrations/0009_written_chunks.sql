-- Which chunks of samples are in the tables: the newest of each run of a collector, by the partition of the log that it came
-- through. Written last of each batch, so that a chunk is here only when all its rows are in their tables.
CREATE TABLE IF NOT EXISTS written_chunks
(
    topic LowCardinality(String),
    partition UInt32,
    node String CODEC(ZSTD(1)),
    run String CODEC(ZSTD(1)),
    seq UInt64,
    batch UInt64,
    at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(seq)
ORDER BY (topic, partition, node, run)
TTL toDateTime(at) + toIntervalDay(8)
SETTINGS non_replicated_deduplication_window = 1000;

-- A writer that was stopped for a while and goes on may repeat an insert that is long done: its token must still be known.
ALTER TABLE process_samples MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE process_samples_1m MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE process_samples_1h MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE node_samples MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE node_samples_1m MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE node_samples_1h MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE device_samples MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE heartbeats MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE findings MODIFY SETTING non_replicated_deduplication_window = 10000;
