package upload_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// quota has room for so many bytes, and for so many spools.
type quota struct {
	spools, bytes int64
	// mostBytes is the highest that bytes were taken.
	taken, mostBytes, takenBytes int64
}

func (q *quota) Begin() error {
	if q.taken == q.spools {
		return model.Deny(model.CodeSpoolFull)
	}
	q.taken++
	return nil
}

func (q *quota) Grow(n int64) error {
	if q.takenBytes+n > q.bytes {
		return model.Deny(model.CodeSpoolFull)
	}
	q.takenBytes += n
	q.mostBytes = max(q.mostBytes, q.takenBytes)
	return nil
}

func (q *quota) End(bytes int64) { q.taken--; q.takenBytes -= bytes }

// TestSpoolsKeepTheQuota: what a spool takes is asked for before it is written, and given back once, whatever became of it.
func TestSpoolsKeepTheQuota(t *testing.T) {
	const block = 128 << 10
	refuse := func(model.Target) error { return model.Deny(model.CodeNoMatchingPolicy) }
	for name, tc := range map[string]struct {
		quota quota
		size  int
		bad   int
		named func(model.Target) error
		want  model.Code
		most  int64
	}{
		"in memory":             {quota: quota{spools: 1}, size: block - 1},
		"on the disk":           {quota: quota{spools: 1, bytes: 3 * block}, size: 3 * block, most: 3 * block},
		"no place":              {quota: quota{bytes: 3 * block}, size: 100, want: model.CodeSpoolFull},
		"no room":               {quota: quota{spools: 1, bytes: 2 * block}, size: 3 * block, want: model.CodeSpoolFull, most: 2 * block},
		"no room for the end":   {quota: quota{spools: 1, bytes: block}, size: block + 1, want: model.CodeSpoolFull, most: block},
		"malformed":             {quota: quota{spools: 1, bytes: 3 * block}, size: 3 * block, bad: 2*block + 9, want: model.CodeMalformedUpload, most: 2 * block},
		"refused by its policy": {quota: quota{spools: 1, bytes: 3 * block}, size: 3 * block, named: refuse, want: model.CodeNoMatchingPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.named == nil {
				tc.named = anybody
			}
			q := tc.quota
			s, _, err := upload.Disk{Dir: t.TempDir(), Quota: &q}.Spool(bytes.NewReader(body(tc.size)), &lineScanner{bad: tc.bad}, 1<<30, tc.named)
			if code(err) != tc.want {
				t.Errorf("got %v, expected %q", err, tc.want)
			}
			if s != nil {
				if q.taken != 1 {
					t.Errorf("%d spools are taken, expected 1", q.taken)
				}
				for range 2 { // it is closed once more at the end of all
					_ = s.Close()
				}
			}
			want := tc.quota
			want.mostBytes = tc.most
			if diff := cmp.Diff(want, q, cmp.AllowUnexported(quota{})); diff != "" {
				t.Errorf("the quota (-want +got):\n%s", diff)
			}
		})
	}
}

// TestObserverKeepsTheQuota: an upload that is only looked at passes whole where there is no room, and nothing is known of it.
func TestObserverKeepsTheQuota(t *testing.T) {
	want := body(400_000)
	for name, tc := range map[string]struct {
		quota quota
		want  model.Code
		most  int64
	}{
		"room": {quota: quota{spools: 1, bytes: 1 << 20}, most: 400_000}, "no place": {quota: quota{bytes: 1 << 20}, want: model.CodeSpoolFull},
		"no room": {quota: quota{spools: 1, bytes: 100}, want: model.CodeSpoolFull},
	} {
		t.Run(name, func(t *testing.T) {
			q := tc.quota
			o := upload.NewObserver(io.NopCloser(bytes.NewReader(want)), new(archiveScanner), upload.Disk{Dir: t.TempDir(), Quota: &q}, 1<<20)
			if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d passed, %v", len(got), len(want), err)
			}
			if _, _, err := o.Seen(); code(err) != tc.want {
				t.Errorf("got %v, expected %q", err, tc.want)
			}
			o.Release()
			after := tc.quota
			after.mostBytes = tc.most
			if diff := cmp.Diff(after, q, cmp.AllowUnexported(quota{})); diff != "" {
				t.Errorf("the quota (-want +got):\n%s", diff)
			}
		})
	}
}
