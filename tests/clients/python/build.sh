#!/bin/sh
# Generates a client of each API and checks both, with main.py, with mypy.
set -e
for api in apps storage; do
  openapi-python-client generate --path $api.yaml --meta none --output-path altinn_$api --config generator.yaml
done
mypy main.py
