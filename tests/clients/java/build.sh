#!/bin/sh
# Generates a client of each API and compiles both with Main.java. JARS is the folder of the
# libraries in jars.lock.
set -e
for api in apps storage; do
  openapi-generator-cli generate -g java --library okhttp-gson -i $api.yaml -o $api \
    --invoker-package altinn.$api --api-package altinn.$api.api --model-package altinn.$api.model \
    --additional-properties useSingleRequestParameter=true
done
javac -d classes -cp "$JARS/*" $(find apps/src/main storage/src/main -name '*.java') Main.java
