package main

import (
	"errors"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this test binary be the program itself where a script or a test starts `vanthu`.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vanthu": main})
}

func TestScripts(t *testing.T) { testscript.Run(t, scriptParams(t)) }

func asAPIError(err error, target **apiError) bool { return errors.As(err, target) }
