#!/bin/bash
# Runs once, when InfluxDB is set up: makes the account that Grafana reads with. It works on /query only.
set -euo pipefail

influx v1 auth create \
  --org "$DOCKER_INFLUXDB_INIT_ORG" \
  --username grafana \
  --password "$(cat /run/secrets/influxdb_reader_password)" \
  --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID"
