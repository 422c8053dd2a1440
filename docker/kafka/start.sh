#!/bin/bash
# Starts a broker whose settings are the variables KAFKA_…, as the image apache/kafka takes them: KAFKA_LOG_DIRS is
# log.dirs, two underscores are one, three are a dash.
set -euo pipefail
config=/opt/kafka/config/server.properties

: >"$config"
for variable in "${!KAFKA_@}"; do
  case "$variable" in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_PERFORMANCE_OPTS | KAFKA_LOG4J_OPTS | KAFKA_VERSION) continue ;;
  esac
  key="${variable#KAFKA_}"
  key="${key,,}"
  key="${key//___/-}"
  key="${key//__/$'\1'}"
  key="${key//_/.}"
  printf '%s=%s\n' "${key//$'\1'/_}" "${!variable}" >>"$config"
done

java=(java -XX:+UseSerialGC -Djava.awt.headless=true -cp '/opt/kafka/libs/*')
"${java[@]}" -Xmx128m kafka.tools.StorageTool format --ignore-formatted --config "$config" \
  --cluster-id "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" >/dev/null
# Words of these variables are options of their own.
# shellcheck disable=SC2206
options=(${KAFKA_HEAP_OPTS:--Xmx384m} ${KAFKA_OPTS:-})
exec "${java[@]}" "${options[@]}" -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties kafka.Kafka "$config"
