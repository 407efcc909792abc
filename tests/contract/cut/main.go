// Command cut writes the documents for client generators, which are cut from the OpenAPI document:
// apps.yaml and storage.yaml, one for each API, and the same in JSON.
//
//	cut FOLDER              with the servers of the OpenAPI document
//	cut -deployed FOLDER    for a deployment package: docs-get inserts the server of its stack
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"altinn.no/instanceapi/tests/contract"
	"altinn.no/instanceapi/tests/local/workspace"
)

func main() {
	deployed := flag.Bool("deployed", false, "leave the server to docs-get")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: cut [-deployed] FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *deployed); err != nil {
		fmt.Fprintln(os.Stderr, "cut:", err)
		os.Exit(1)
	}
}

func run(folder string, deployed bool) error {
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(filepath.Join(root, contract.File))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return contract.WriteCuts(content, deployed, folder)
}
