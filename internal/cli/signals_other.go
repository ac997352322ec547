//go:build !unix

package cli

import "os"

// forwarded are the signals that a child gets from those who mean this program.
var forwarded = []os.Signal{os.Interrupt}
