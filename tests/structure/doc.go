// Package structure tests that the parts of the project are consistent: template.yaml with the
// folders, policies with the code, and routes with the documents and the OpenAPI document. It also
// tests the direction of imports. It contains no code that runs in the system.
//
// lint.py and deployments.py check template.yaml as SAM translates it, openapi.py checks the
// OpenAPI document. They need their virtual environments and run in `make lint`.
package structure
