package xmldoc_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/trustpub/trustpub/internal/xmldoc"
)

func TestRecode(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"ISO-8859-1":            {"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a>M\xfcller</a>", "\n<a>M\u00fcller</a>"},
		"in small letters":      {"<?xml version='1.0'\n encoding='iso-8859-1' standalone='no' ?><a>\xff</a>", "<a>\u00ff</a>"},
		"US-ASCII":              {"<?xml version=\"1.0\" encoding=\"US-ASCII\"?><a>b</a>", "<a>b</a>"},
		"UTF-8":                 {"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>\u00fc</a>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>\u00fc</a>"},
		"no declaration":        {"<a/>", "<a/>"},
		"a declaration later":   {"<a/><?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", "<a/><?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>"},
		"a byte order mark":     {"\ufeff<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>", "\ufeff<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>"},
		"two encodings":         {"<?xml version=\"1.0\" encoding=\"ISO-8859-1\" encoding=\"utf-7\"?><a/>", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" encoding=\"utf-7\"?><a/>"},
		"another encoding":      {"<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?><a/>", "<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?><a/>"},
		"a space before a sign": {"<?xml version=\"1.0\" encoding =\"ISO-8859-1\"?><a/>", "<?xml version=\"1.0\" encoding =\"ISO-8859-1\"?><a/>"},
	} {
		if got, err := xmldoc.Recode([]byte(tc.text)); err != nil || string(got) != tc.want {
			t.Errorf("%s: %q, %v, expected %q", name, got, err, tc.want)
		}
	}
	if _, err := xmldoc.Recode([]byte("<?xml version=\"1.0\" encoding=\"us-ascii\"?><a>\x80</a>")); err == nil || !strings.Contains(err.Error(), "0x80") {
		t.Errorf("a byte that is not in ASCII: %v", err)
	}
}

// FuzzRecode: whatever the bytes, the markup is theirs, and the rest is UTF-8.
func FuzzRecode(f *testing.F) {
	f.Add([]byte("<a>M\xfcller\x85\x93</a>"))
	f.Fuzz(func(t *testing.T, rest []byte) {
		got, err := xmldoc.Recode(append([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?>`), rest...))
		if err != nil || !utf8.Valid(got) || utf8.RuneCount(got) != len(rest) {
			t.Fatalf("%q is %q, %v", rest, got, err)
		}
		ascii := func(text []byte) []byte {
			return slices.DeleteFunc(slices.Clone(text), func(c byte) bool { return c >= utf8.RuneSelf })
		}
		if !bytes.Equal(ascii(got), ascii(rest)) {
			t.Errorf("%q is %q", rest, got)
		}
	})
}
