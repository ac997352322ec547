package multipart_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/multipart"
)

// record is what a splitter found.
type record struct{ Headers, Data []string }

// handler records what a splitter finds.
type handler struct{ *record }

func (h handler) Begin(header []byte, _ int64) error {
	h.Headers, h.record.Data = append(h.Headers, string(header)), append(h.record.Data, "")
	return nil
}

func (h handler) Data(p []byte) error {
	h.record.Data[len(h.record.Data)-1] += string(p)
	return nil
}

func (handler) End() error { return nil }

// split feeds a body in two pieces, cut at every place, and fails the test where the cut changes the result.
func split(t *testing.T, make func(string, multipart.Handler) *multipart.Splitter, body string) (record, bool, bool) {
	t.Helper()
	var first *record
	var ok, bare bool
	for cut := range len(body) + 1 {
		r := &record{}
		s := make("bb", handler{r})
		err := s.Feed([]byte(body[:cut]))
		if err == nil {
			err = s.Feed([]byte(body[cut:]))
		}
		good := err == nil && s.Closed()
		if first == nil {
			first, ok, bare = r, good, s.Bare()
			continue
		}
		if good != ok || good && (!cmp.Equal(first, r) || s.Bare() != bare) {
			t.Fatalf("%q cut at %d: %+v, %v, bare %v; else %+v, %v, %v", body, cut, r, err, s.Bare(), first, ok, bare)
		}
	}
	return *first, ok, bare
}

// TestBareEnd: one delimiter may lack its CR, the last one, and only where the caller mends it.
func TestBareEnd(t *testing.T) {
	const head = "--bb\r\nA: b\r\n\r\n"
	for name, tc := range map[string]struct {
		body     string
		data     string
		ok, bare bool
		strictly bool
	}{
		"as the RFC has it":            {head + "data\r\n--bb--\r\n", "data", true, false, true},
		"without a last line break":    {head + "data\r\n--bb--", "data", true, false, true},
		"a bare line feed":             {head + "data\n--bb--", "data", true, true, false},
		"long data":                    {head + strings.Repeat("data", 50) + "\n--bb--", strings.Repeat("data", 50), true, true, false},
		"no data":                      {head + "\n--bb--", "", true, true, false},
		"a line feed more":             {head + "data\n\n--bb--", "data\n", true, true, false},
		"a line break more":            {head + "data\r\n\n--bb--", "data\r\n", true, true, false},
		"text after it":                {body: head + "data\n--bb--x"},
		"a line break after it":        {body: head + "data\n--bb--\r\n"},
		"a line feed after it":         {body: head + "data\n--bb--\n"},
		"a part after it":              {body: head + "data\n--bb\r\nA: b\r\n\r\nmore\r\n--bb--\r\n"},
		"a part after a line feed":     {body: head + "data\r\n--bb\nA: b\r\n\r\nmore\r\n--bb--\r\n"},
		"only a CR":                    {body: head + "data\r--bb--"},
		"no line break":                {body: head + "data--bb--"},
		"a blank before it":            {body: head + "data\n --bb--"},
		"a blank after it":             {body: head + "data\n--bb --"},
		"one hyphen":                   {body: head + "data\n--bb-"},
		"nothing after it":             {body: head + "data\n--bb"},
		"twice":                        {body: head + "data\n--bb--\n--bb--"},
		"a bare line feed in a header": {body: "--bb\nA: b\n\ndata\n--bb--"},
	} {
		t.Run(name, func(t *testing.T) {
			r, ok, bare := split(t, multipart.NewMendable, tc.body)
			if ok != tc.ok || ok && bare != tc.bare {
				t.Fatalf("got %v, bare %v, expected %v, %v", ok, bare, tc.ok, tc.bare)
			}
			if diff := cmp.Diff(record{Headers: []string{"A: b"}, Data: []string{tc.data}}, r); ok && diff != "" {
				t.Error(diff)
			}
			if _, ok, _ := split(t, multipart.New, tc.body); ok != tc.strictly {
				t.Errorf("without mending: got %v, expected %v", ok, tc.strictly)
			}
		})
	}
	if got := string(multipart.New("bb", nil).End()); got != "\r\n--bb--\r\n" {
		t.Errorf("the end is %q", got)
	}
}

func TestBoundary(t *testing.T) {
	for line, want := range map[string]string{
		"multipart/form-data; boundary=bb":                                         "bb",
		`multipart/form-data; boundary="b b"`:                                      "",
		`multipart/form-data;boundary="b:b"`:                                       "b:b",
		"multipart/form-data; boundary=---------------------------8df4c16b00092f4": "---------------------------8df4c16b00092f4",
		"multipart/form-data; boundary=bb; charset=utf-8":                          "",
		"multipart/mixed; boundary=bb":                                             "",
		"multipart/form-data":                                                      "",
	} {
		got, err := multipart.Boundary(http.Header{"Content-Type": {line}})
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, expected %q", line, got, err, want)
		}
	}
	if _, err := multipart.Boundary(http.Header{"Content-Type": {"multipart/form-data; boundary=a", "multipart/form-data; boundary=b"}}); err == nil {
		t.Error("two lines are accepted")
	}
}

// boundaryLine is the grammar of the header, to which Boundary is held.
var boundaryLine = regexp.MustCompile(`^multipart/form-data; ?boundary=(?:([0-9A-Za-z'+_.-]{1,70})|"([0-9A-Za-z'()+_,./:=?-]{1,70})")$`)

func FuzzBoundary(f *testing.F) {
	for _, line := range []string{
		"multipart/form-data; boundary=bb", `multipart/form-data;boundary="b:b"`, `multipart/form-data; boundary="`, `multipart/form-data; boundary=""`,
		`multipart/form-data; boundary="b"b"`, "multipart/form-data;  boundary=b", "multipart/form-data; boundary=b\n", "multipart/form-data; boundary=b:b",
		"multipart/form-data; boundary=" + strings.Repeat("b", 70), `multipart/form-data; boundary="` + strings.Repeat("b", 71) + `"`,
		"Multipart/form-data; boundary=b", "multipart/form-data; boundary=\u00e9", `multipart/form-data; boundary="b`, `multipart/form-data; boundary=b"`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		want := ""
		m := boundaryLine.FindStringSubmatch(line)
		if m != nil {
			want = m[1] + m[2]
		}
		if got, err := multipart.Boundary(http.Header{"Content-Type": {line}}); got != want || (err == nil) != (m != nil) {
			t.Errorf("%q: got %q, %v, by the grammar it is %q", line, got, err, want)
		}
	})
}

func FuzzBareEnd(f *testing.F) {
	f.Add([]byte("--bb\r\nA: b\r\n\r\ndata\n--bb--"), 20)
	f.Add([]byte("--bb\r\nA: b\r\n\r\ndata\r\n--bb--\r\n"), 3)
	f.Fuzz(func(t *testing.T, body []byte, cut int) {
		strict, lax := &record{}, &record{}
		a, b := multipart.New("bb", handler{strict}), multipart.NewMendable("bb", handler{lax})
		cut = min(max(cut, 0), len(body))
		feed := func(s *multipart.Splitter) bool {
			return s.Feed(body[:cut]) == nil && s.Feed(body[cut:]) == nil && s.Closed()
		}
		okStrict, okLax := feed(a), feed(b)
		switch {
		case okStrict && (!okLax || b.Bare() || !cmp.Equal(strict, lax)):
			t.Fatalf("a strict form is read in two ways: %+v, %+v", strict, lax)
		case okLax && !okStrict && !b.Bare():
			t.Fatal("something else than a bare end is accepted")
		case okLax && b.Bare():
			last := "\n--bb--"
			mended := append(body[:len(body)-len(last):len(body)-len(last)], b.End()...)
			again := &record{}
			s := multipart.New("bb", handler{again})
			if err := s.Feed(mended); err != nil || !s.Closed() || !cmp.Equal(lax, again) {
				// A CR before the bare line feed would make it no bare one.
				t.Fatalf("the mended body reads %+v, %v, expected %+v", again, err, lax)
			}
		}
	})
}
