// Package structure contains the tests that keep the parts of the project consistent: template.yaml
// with the folders, policies with the code, routes with the README and the OpenAPI document, and
// imports with the allowed direction. It contains no code that runs in the system.
//
// lint.py and deployments.py check template.yaml as SAM translates it, openapi.py checks the
// OpenAPI document. They need their virtual environments and run in `make lint`.
package structure
