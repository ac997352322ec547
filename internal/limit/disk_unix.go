//go:build linux || darwin || freebsd

package limit

import "golang.org/x/sys/unix"

// diskSpace asks the system how many bytes of a folder's disk are free for those who are not root, and how many it has.
func diskSpace(dir string) (free, all int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	size := int64(s.Bsize)                                     //nolint:unconvert // of another type on each system
	return int64(s.Bavail) * size, int64(s.Blocks) * size, nil //nolint:gosec // no disk has 2^63 bytes
}
