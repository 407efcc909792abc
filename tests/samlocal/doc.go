// Package samlocal builds the functions with `sam build` in a copy of the checkout, without make.
// It then runs them under `sam local`, in containers, against the local AWS: the acceptance
// scripts that apply there, and every payload under events/. File leftout_test.go lists the tests
// that do not apply, with reasons.
//
// `make test-sam-local` runs it. That target makes the image first, and fails if no container
// engine responds.
package samlocal
