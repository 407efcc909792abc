#!/bin/sh
# Generates a client of each API and compiles both with main.go.
set -e
for api in apps storage; do
  mkdir $api
  oapi-codegen -generate types,client -package $api -o $api/$api.go $api.yaml
done
go build -o client .
