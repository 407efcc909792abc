// Command cut writes the documents for client generators, which are cut from the OpenAPI
// document: apps.yaml and storage.yaml, one for each API, and the same in JSON. Their servers are
// those of the OpenAPI document.
//
//	cut FOLDER
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/httpapi/apidoc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cut FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "cut:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	documents, err := apidoc.Cut(httpapi.Document, nil)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, d := range documents {
		for extension, encode := range map[string]func() ([]byte, error){".yaml": d.YAML, ".json": d.JSON} {
			text, err := encode()
			if err == nil {
				err = os.WriteFile(filepath.Join(folder, d.Name+extension), text, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
