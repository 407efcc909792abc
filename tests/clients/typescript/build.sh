#!/bin/sh
# Generates the types of each API and compiles both with main.ts.
set -e
for api in apps storage; do
  openapi-typescript $api.yaml -o $api.d.ts
done
tsc
