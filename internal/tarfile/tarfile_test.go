package tarfile_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/tarfile"
)

// header makes one block; edits change its bytes before the sum is taken.
func header(kind byte, name string, size int, edits ...func([]byte)) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", size))
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	for _, edit := range edits {
		edit(h)
	}
	copy(h[148:], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// data fills blocks.
func data(s string) []byte {
	return append([]byte(s), make([]byte, (512-len(s)%512)%512)...)
}

func file(name, content string) []byte {
	return append(header('0', name, len(content)), data(content)...)
}

// extended is a header of records for the next entry, or for all.
func extended(kind byte, records ...string) []byte {
	var all strings.Builder
	for _, r := range records {
		size := len(r) + 3
		for len(fmt.Sprint(size)+" "+r+"\n") != size {
			size++
		}
		fmt.Fprintf(&all, "%d %s\n", size, r)
	}
	return append(header(kind, "records", all.Len()), data(all.String())...)
}

// long is a name in the GNU form.
func long(kind byte, name string) []byte {
	return append(header(kind, "././@LongLink", len(name)+1, func(h []byte) { copy(h[257:], "ustar  \x00") }), data(name+"\x00")...)
}

func tarOf(parts ...[]byte) []byte {
	return append(bytes.Join(parts, nil), make([]byte, 1024)...)
}

// names reads a tar as its users do.
func names(text []byte) (names []string, err error) {
	r := tarfile.NewReader(bytes.NewReader(text))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return names, err
		}
		if err := tarfile.Check(h); err != nil {
			return names, err
		}
		names = append(names, h.Name)
	}
}

func TestReader(t *testing.T) {
	for name, tc := range map[string]struct {
		text []byte
		want []string
	}{
		"files":               {tarOf(file("a", ""), file("b", "x"), file("c", strings.Repeat("x", 513))), []string{"a", "b", "c"}},
		"a folder and a link": {tarOf(header('5', "a/", 0), header('2', "a/b", 0, func(h []byte) { copy(h[157:], "c") })), []string{"a/", "a/b"}},
		"extended records":    {tarOf(extended('x', "path=long", "mtime=1.5"), file("short", "x")), []string{"long"}},
		"a size said twice":   {tarOf(extended('x', "size=1", "mtime=1"), file("a", "x"), file("b", "y")), []string{"a", "b"}},
		"a comment for all":   {tarOf(extended('g', "comment=abc"), file("a", "x")), []string{"records", "a"}},
		"long names":          {tarOf(long('L', "long"), file("short", "x"), long('L', "n"), long('K', "l"), header('2', "s", 0)), []string{"long", "n"}},
		"a large owner":       {tarOf(header('0', "a", 0, func(h []byte) { copy(h[108:], "\x80\x00\x00\x00\x00\x40\x00\x00") })), []string{"a"}},
		"one without a zero":  {tarOf(header('L', "././@LongLink", 4), data("name"), file("b", "x")), []string{"name"}},
		"a prefix":            {tarOf(header('0', "b", 0, func(h []byte) { copy(h[345:], "a") })), []string{"a/b"}},
		"of the seventies":    {tarOf(header(0, "a", 0, func(h []byte) { clear(h[257:]) })), []string{"a"}},
		"no end":              {file("a", "x"), []string{"a"}},
	} {
		got, err := names(tc.text)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// TestRefusals: each tar has entries that one reader sees and another does not.
func TestRefusals(t *testing.T) {
	hidden := file("evil", "x")
	for name, tc := range map[string]struct {
		text []byte
		want string
	}{
		// Readers that skip the folder's size go on inside the next file.
		"a folder with a size":           {tarOf(header('5', "a/", 512), file("b", string(hidden)), file("c", "x")), "tar has a folder or link with a size, expected data in files alone"},
		"a link with a size":             {tarOf(header('2', "a", 512), file("b", string(hidden))), "tar has a folder or link with a size, expected data in files alone"},
		"a size in a record":             {tarOf(extended('x', "size=512"), header('0', "a", 0), hidden), "tar has two sizes for one entry, expected one"},
		"records for all":                {tarOf(extended('g', "path=evil"), file("a", "x")), `tar has a record "path" for all entries, expected a comment at most`},
		"two extended headers":           {tarOf(extended('x', "path=evil"), extended('x', "path=a"), file("b", "x")), "tar has two headers for the name of one entry, expected one"},
		"an extended header of nothing":  {tarOf(extended('x', "path=evil"), header('x', "r", 0), file("b", "x")), "tar has two headers for the name of one entry, expected one"},
		"two long names":                 {tarOf(long('L', "evil"), long('L', "a"), file("b", "x")), "tar has two headers for the name of one entry, expected one"},
		"a long name and a record":       {tarOf(extended('x', "path=evil"), long('L', "a"), file("b", "x")), "tar has two headers for the name of one entry, expected one"},
		"a record and a long name":       {tarOf(long('L', "a"), extended('x', "path=evil"), file("b", "x")), "tar has two headers for the name of one entry, expected one"},
		"a comment between":              {tarOf(extended('x', "path=evil"), extended('g', "comment=x"), file("b", "x")), "tar has a header for all entries between those of one, expected one before them"},
		"a sparse file of records":       {tarOf(extended('x', "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=a", "GNU.sparse.realsize=0"), file("evil", "0\n")), `tar has a record "GNU.sparse.major", expected sizes and names in the headers`},
		"a sparse file":                  {tarOf(header('S', "a", 0, func(h []byte) { copy(h[257:], "ustar  \x00"); copy(h[483:], "00000000000\x00") })), "tar has more of a name in a header that has no place for it, expected the name in its own field"},
		"a device":                       {tarOf(header('3', "a", 0)), `tar has an entry "a" of kind '3', expected files, folders and links`},
		"an unknown kind":                {tarOf(header('Z', "a", 0)), `tar has an entry "a" of kind 'Z', expected files, folders and links`},
		"a character set":                {tarOf(extended('x', "hdrcharset=BINARY"), file("a", "x")), `tar has a record "hdrcharset", expected sizes and names in the headers`},
		"an empty name":                  {tarOf(extended('x', "path="), file("a", "x")), `tar has a record "path", expected sizes and names in the headers`},
		"a prefix in an old header":      {tarOf(header('0', "PKG-INFO", 0, func(h []byte) { clear(h[257:265]); copy(h[345:], "a-1.0") })), "tar has more of a name in a header that has no place for it, expected the name in its own field"},
		"a prefix in a header of GNU's":  {tarOf(header('0', "PKG-INFO", 0, func(h []byte) { copy(h[257:], "ustar  \x00"); copy(h[345:], "a-1.0") })), "tar has more of a name in a header that has no place for it, expected the name in its own field"},
		"a name that is no text":         {tarOf(file("a\xff", "x")), `tar has an entry "a\xff", expected names in UTF-8`},
		"a record for all of no value":   {tarOf(extended('g', "size=evil", "comment=x"), file("a", "x")), `tar has a record "size" for all entries, expected a comment at most`},
		"another magic":                  {tarOf(header('0', "a", 0, func(h []byte) { copy(h[257:], "ustar\x0001") })), "tar has another kind of header, expected one of POSIX, of GNU or of old times"},
		"a size with a zero in front":    {tarOf(extended('x', "size=01"), file("a", "x")), "tar has two sizes for one entry, expected one"},
		"a size of nothing":              {tarOf(extended('x', "size="), file("a", "x")), `tar has a record "size", expected sizes and names in the headers`},
		"a size for all":                 {tarOf(extended('g', "size=1"), file("a", "x")), `tar has a record "size" for all entries, expected a comment at most`},
		"a name in two records":          {tarOf(extended('x', "path=evil", "path=a"), file("b", "x")), `tar has a record "path" twice, or without a value, expected each once`},
		"a record without a value":       {tarOf(extended('x', "path"), file("b", "x")), `tar has a record "path" twice, or without a value, expected each once`},
		"a record of another length":     {tarOf(append(header('x', "r", 12), data("99 path=evil\n")...), file("b", "x")), "tar has a record of another form, expected LENGTH KEY=VALUE"},
		"an old file with a record":      {tarOf(extended('x', "path=a"), header(0, "b/", 0)), "tar has an old header behind one that names its entry, expected a header of its time"},
		"an old file with a long name":   {tarOf(long('L', "a"), header(0, "b/", 0)), "tar has an old header behind one that names its entry, expected a header of its time"},
		"an owner that is no number":     {tarOf(file("a", "x"), header('0', "b", 0, func(h []byte) { h[108] = 0x94 })), "tar has another spelling of a number, expected octal digits"},
		"a device that is no number":     {tarOf(header('0', "b", 0, func(h []byte) { clear(h[257:265]); h[329] = 0xb7 })), "tar has another spelling of a number, expected octal digits"},
		"a time that is no number":       {tarOf(header('0', "b", 0, func(h []byte) { copy(h[136:], "now") })), "tar has another spelling of a number, expected octal digits"},
		"a long name that goes on":       {tarOf(header('L', "././@LongLink", 4), data("name/evil\x00"), file("b", "x")), "tar has more behind a long name, expected zeros up to the next block"},
		"a long name of nothing":         {tarOf(long('L', ""), file("b", "x")), "tar has a long name of nothing, expected a name"},
		"a long name without data":       {tarOf(header('L', "././@LongLink", 0), file("b", "x")), "tar has a long name of nothing, expected a name"},
		"a size in base 256":             {tarOf(header('0', "a", 0, func(h []byte) { copy(h[124:], "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") })), "tar has another spelling of a size, expected octal digits"},
		"a size in another base":         {tarOf(header('0', "a", 0, func(h []byte) { copy(h[124:], "0o7\x00\x00\x00\x00\x00\x00\x00\x00\x00") })), "tar has another spelling of a size, expected octal digits"},
		"a size with a line between":     {tarOf(header('0', "a", 0, func(h []byte) { copy(h[124:], "0000_000000\x00") })), "tar has another spelling of a size, expected octal digits"},
		"a continued file":               {tarOf(header('7', "a", 512), hidden), "tar has a folder or link with a size, expected data in files alone"},
		"an empty block and then a file": {append(append(file("a", "x"), make([]byte, 512)...), hidden...), "archive/tar: invalid tar header"},
	} {
		if _, err := names(tc.text); err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, expected %s", name, err, tc.want)
		}
	}
}

// FuzzReader: whatever comes, the walk agrees with the standard library about where the headers are, or one of them refuses.
func FuzzReader(f *testing.F) {
	f.Add(tarOf(file("a", "x"), extended('x', "path=b"), file("c", "y")))
	f.Add(tarOf(header('5', "a/", 0), long('L', "b"), file("c", "")))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := names(text)
		if err != nil {
			return
		}
		plain, seen := tar.NewReader(bytes.NewReader(text)), 0
		for {
			if _, err := plain.Next(); err != nil {
				break
			}
			seen++
		}
		if seen != len(got) {
			t.Errorf("%d entries, expected %d", len(got), seen)
		}
	})
}
