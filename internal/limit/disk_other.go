//go:build !linux && !darwin && !freebsd

package limit

import "errors"

// diskSpace is not known here: a disk that is full is found out when it is written to.
func diskSpace(string) (free, all int64, err error) { return 0, 0, errors.ErrUnsupported }
