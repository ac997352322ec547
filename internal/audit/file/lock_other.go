//go:build !unix

package file

import (
	"context"
	"time"
)

// lock does nothing where files cannot be locked without locking out readers too.
func lock(context.Context, handle, time.Duration) error { return nil }
