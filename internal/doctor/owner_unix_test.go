//go:build unix

package doctor

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// owned is a file of some user.
type owned struct {
	fs.FileInfo
	uid uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

// TestOthersFile: root learns nothing of what another user may write, and says so.
func TestOthersFile(t *testing.T) {
	for _, tc := range []struct {
		name   string
		uid    uint32
		user   int
		others bool
	}{
		{"root, its own", 0, 0, false},
		{"root, a user's", 1000, 0, true},
		{"a user, its own", 1000, 1000, false},
		{"a user, another's, who tries it", 1001, 1000, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, others := othersFile("/data", owned{uid: tc.uid}, tc.user)
			if others != tc.others || others && (f.Status != Skip || !strings.Contains(f.Message, "belongs to the user 1000") || f.Help == "") {
				t.Errorf("got %+v, %t; want %t", f, others, tc.others)
			}
		})
	}
}
