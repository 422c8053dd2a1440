-- Figures of a node's CPUs, interfaces, disks and control groups in one table, because each table costs every insert;
-- the columns of the other kinds are null. The views below show one kind each.
CREATE TABLE IF NOT EXISTS device_samples
(
    node LowCardinality(String),
    kind LowCardinality(String),
    name LowCardinality(String),
    at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    batch UInt64 CODEC(DoubleDelta, ZSTD(1)),
    user Nullable(UInt64) CODEC(ZSTD(3)),
    nice Nullable(UInt64) CODEC(ZSTD(3)),
    system Nullable(UInt64) CODEC(ZSTD(3)),
    idle Nullable(UInt64) CODEC(ZSTD(3)),
    iowait Nullable(UInt64) CODEC(ZSTD(3)),
    irq Nullable(UInt64) CODEC(ZSTD(3)),
    softirq Nullable(UInt64) CODEC(ZSTD(3)),
    steal Nullable(UInt64) CODEC(ZSTD(3)),
    rx_bytes Nullable(UInt64) CODEC(ZSTD(3)),
    rx_packets Nullable(UInt64) CODEC(ZSTD(3)),
    rx_errors Nullable(UInt64) CODEC(ZSTD(3)),
    rx_dropped Nullable(UInt64) CODEC(ZSTD(3)),
    rx_fifo Nullable(UInt64) CODEC(ZSTD(3)),
    rx_frame Nullable(UInt64) CODEC(ZSTD(3)),
    rx_compressed Nullable(UInt64) CODEC(ZSTD(3)),
    rx_multicast Nullable(UInt64) CODEC(ZSTD(3)),
    tx_bytes Nullable(UInt64) CODEC(ZSTD(3)),
    tx_packets Nullable(UInt64) CODEC(ZSTD(3)),
    tx_errors Nullable(UInt64) CODEC(ZSTD(3)),
    tx_dropped Nullable(UInt64) CODEC(ZSTD(3)),
    tx_fifo Nullable(UInt64) CODEC(ZSTD(3)),
    tx_collisions Nullable(UInt64) CODEC(ZSTD(3)),
    tx_carrier Nullable(UInt64) CODEC(ZSTD(3)),
    tx_compressed Nullable(UInt64) CODEC(ZSTD(3)),
    reads Nullable(UInt64) CODEC(ZSTD(3)),
    read_sectors Nullable(UInt64) CODEC(ZSTD(3)),
    writes Nullable(UInt64) CODEC(ZSTD(3)),
    written_sectors Nullable(UInt64) CODEC(ZSTD(3)),
    in_flight Nullable(UInt64) CODEC(ZSTD(3)),
    io_time Nullable(UInt64) CODEC(ZSTD(3)),
    usage Nullable(UInt64) CODEC(ZSTD(3)),
    limit_bytes Nullable(UInt64) CODEC(ZSTD(3)),
    anon Nullable(UInt64) CODEC(ZSTD(3)),
    file Nullable(UInt64) CODEC(ZSTD(3)),
    swap Nullable(UInt64) CODEC(ZSTD(3)),
    limit_hits Nullable(UInt64) CODEC(ZSTD(3)),
    oom_kills Nullable(UInt64) CODEC(ZSTD(3))
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (node, kind, name, at)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Milliseconds since boot; the CPU named `cpu` is the sum of all.
CREATE VIEW IF NOT EXISTS cpu_samples AS
SELECT
    node,
    name AS cpu,
    at,
    user,
    nice,
    system,
    idle,
    iowait,
    irq,
    softirq,
    steal
FROM device_samples
WHERE kind = 'cpu';

-- Counters since the interface came up.
CREATE VIEW IF NOT EXISTS network_samples AS
SELECT
    node,
    name AS interface,
    at,
    rx_bytes,
    rx_packets,
    rx_errors,
    rx_dropped,
    rx_fifo,
    rx_frame,
    rx_compressed,
    rx_multicast,
    tx_bytes,
    tx_packets,
    tx_errors,
    tx_dropped,
    tx_fifo,
    tx_collisions,
    tx_carrier,
    tx_compressed
FROM device_samples
WHERE kind = 'network';

-- Counters since boot; sectors are 512 bytes, times milliseconds.
CREATE VIEW IF NOT EXISTS disk_samples AS
SELECT
    node,
    name AS disk,
    at,
    reads,
    read_sectors,
    writes,
    written_sectors,
    in_flight,
    io_time
FROM device_samples
WHERE kind = 'disk';

-- Bytes and counts; a null limit is none.
CREATE VIEW IF NOT EXISTS cgroup_samples AS
SELECT
    node,
    name AS path,
    at,
    usage,
    limit_bytes,
    anon,
    file,
    swap,
    limit_hits,
    oom_kills
FROM device_samples
WHERE kind = 'cgroup';
