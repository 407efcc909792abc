// Package structure holds the tests that keep the parts of the project together: the folders with template.yaml, the
// policies with the code, the routes with the README, and the packages with the direction that imports have to take.
// It has no code that runs in the system. lint.py beside it is the lint of template.yaml.
package structure
