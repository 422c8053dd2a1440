#!/bin/bash
# Starts the engine that Tidemark embeds where the image clickhouse/clickhouse-server would run: CLICKHOUSE_USER and
# CLICKHOUSE_PASSWORD name the user that may do everything. TIDEMARK_READER and TIDEMARK_READER_PASSWORD name the other
# one, because this engine cannot be told of users by SQL.
set -euo pipefail
: "${CLICKHOUSE_PASSWORD:?must be set: the password of the administrator}"
exec node /app/tools/clickhouse.mjs --data /var/lib/clickhouse --host 0.0.0.0 --port 8123 \
  --admin-user "${CLICKHOUSE_USER:-default}" --admin-password "$CLICKHOUSE_PASSWORD" \
  --reader-user "${TIDEMARK_READER:-reader}" --reader-password "${TIDEMARK_READER_PASSWORD:-$CLICKHOUSE_PASSWORD}"
