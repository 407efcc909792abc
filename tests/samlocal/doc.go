// Package samlocal runs the functions under `sam local`, in containers, against the local AWS: the acceptance scripts that
// hold there, and every payload under events/. What does not hold there is in leftout_test.go, each with its reason.
//
// It is started by `make test-sam-local`, which builds the functions and the image first, and fails where no container
// engine answers.
package samlocal
