-- A part of the wide kind has up to four files for each column: every insert of these tables made hundreds with its rollups, and
-- merges removed as many. On ext4 a removed file is in the way of each new one for minutes (`recently_deleted`), which took a
-- quarter of the server's time. Below this size, uncompressed, a part keeps all columns in one file.
ALTER TABLE process_samples MODIFY SETTING min_bytes_for_wide_part = 268435456;
ALTER TABLE process_samples_1m MODIFY SETTING min_bytes_for_wide_part = 268435456;
ALTER TABLE process_samples_1h MODIFY SETTING min_bytes_for_wide_part = 268435456;
ALTER TABLE node_samples MODIFY SETTING min_bytes_for_wide_part = 268435456;
ALTER TABLE node_samples_1m MODIFY SETTING min_bytes_for_wide_part = 268435456;
ALTER TABLE node_samples_1h MODIFY SETTING min_bytes_for_wide_part = 268435456;
