package jsonstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/jsonstream"
	"github.com/trustpub/trustpub/internal/model"
)

// record notes what a visitor is told.
type record struct {
	mode   func(path []string) jsonstream.Mode
	events []string
	pieces int64
}

func (r *record) Begin(path []string, kind jsonstream.Kind) (jsonstream.Mode, error) {
	if kind == jsonstream.Object || kind == jsonstream.Array {
		r.note("begin", path, kind.String())
	}
	return r.mode(path), nil
}

func (r *record) Value(path []string, _ jsonstream.Kind, text string) error {
	r.note("value", path, text)
	return nil
}

func (r *record) Piece(path []string, piece []byte) error {
	r.pieces += int64(len(piece))
	r.note("piece", path, string(piece))
	return nil
}

func (r *record) End(path []string, kind jsonstream.Kind) error {
	r.note("end", path, kind.String())
	return nil
}

func (r *record) note(what string, path []string, text string) {
	r.events = append(r.events, fmt.Sprintf("%s %s: %s", what, strings.Join(path, "/"), text))
}

func keep([]string) jsonstream.Mode { return jsonstream.Keep }

// scan feeds a document in pieces of one size; 0 feeds it whole.
func scan(doc []byte, size int, v jsonstream.Visitor, l jsonstream.Limits) (*jsonstream.Scanner, error) {
	s := jsonstream.New(v, l)
	if size == 0 {
		size = max(1, len(doc))
	}
	for len(doc) > 0 {
		n := min(size, len(doc))
		if err := s.Feed(doc[:n]); err != nil {
			return s, err
		}
		doc = doc[n:]
	}
	return s, s.Close()
}

func TestEvents(t *testing.T) {
	const doc = " {\"a\": \"x\\u00e9\\ud83d\\ude00\\n\u00fc\", \"b\":[1.5e+3 ,true,[],{}],\"c\":{\"data\":\"QUJD\"}}\n"
	mode := func(path []string) jsonstream.Mode {
		if path[len(path)-1] == "data" {
			return jsonstream.Stream
		}
		return jsonstream.Keep
	}
	want := []string{
		"begin : an object", "value a: x\u00e9\U0001f600\n\u00fc", "begin b: an array", "value b/[]: 1.5e+3", "value b/[]: true",
		"begin b/[]: an array", "end b/[]: an array", "begin b/[]: an object", "end b/[]: an object", "end b: an array",
		"begin c: an object", "piece c/data: QUJD", "end c/data: a string", "end c: an object", "end : an object",
	}
	top := func(path []string) jsonstream.Mode {
		if len(path) == 0 {
			return jsonstream.Keep
		}
		return mode(path)
	}
	r := &record{mode: top}
	s, err := scan([]byte(doc), 0, r, jsonstream.Limits{})
	if diff := cmp.Diff(want, r.events); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, want := s.Release(), int64(len(doc)-2); got != want {
		t.Errorf("the first %d bytes may leave, expected all before the last brace, %d", got, want)
	}
	for size := 1; size < 9; size++ {
		if _, err := scan([]byte(doc), size, &record{mode: top}, jsonstream.Limits{}); err != nil {
			t.Errorf("in pieces of %d: %v", size, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		code      model.Code
	}{
		{"nothing", "", model.CodeTruncated},
		{"no final brace", `{"a":1`, model.CodeTruncated},
		{"no final quote", `"a`, model.CodeTruncated},
		{"a key twice", `{"a":1,"b":{},"a":2}`, model.CodeDuplicateField},
		{"a key twice, once escaped", `{"a":1,"\u0061":2}`, model.CodeDuplicateField},
		{"a second document", `{} {}`, model.CodeMalformedUpload},
		{"text behind", `{}x`, model.CodeMalformedUpload},
		{"a byte order mark", "\ufeff{}", model.CodeMalformedUpload},
		{"a comma at the end", `{"a":1,}`, model.CodeMalformedUpload},
		{"a comma at the end of an array", `[1,]`, model.CodeMalformedUpload},
		{"no colon", `{"a" 1}`, model.CodeMalformedUpload},
		{"no comma", `[1 2]`, model.CodeMalformedUpload},
		{"a key without quotes", `{a:1}`, model.CodeMalformedUpload},
		{"single quotes", `{'a':1}`, model.CodeMalformedUpload},
		{"a comment", `{/**/}`, model.CodeMalformedUpload},
		{"the wrong bracket", `[1}`, model.CodeMalformedUpload},
		{"the wrong brace", `{"a":1]`, model.CodeMalformedUpload},
		{"a leading zero", `[01]`, model.CodeMalformedUpload},
		{"a plus", `[+1]`, model.CodeMalformedUpload},
		{"NaN", `[NaN]`, model.CodeMalformedUpload},
		{"an unknown word", `[nul]`, model.CodeMalformedUpload},
		{"a number that stands alone", `12 `, model.CodeMalformedUpload},
		{"a control character", "[\"\x01\"]", model.CodeMalformedUpload},
		{"a line break in a text", "[\"\n\"]", model.CodeMalformedUpload},
		{"an unknown escape", `["\x41"]`, model.CodeMalformedUpload},
		{"half an escape", `["\u12g4"]`, model.CodeMalformedUpload},
		{"a high surrogate alone", `["\ud83d"]`, model.CodeMalformedUpload},
		{"a high surrogate before a letter", `["\ud83dx"]`, model.CodeMalformedUpload},
		{"a high surrogate before an escape", `["\ud83d\n"]`, model.CodeMalformedUpload},
		{"a low surrogate alone", `["\ude00"]`, model.CodeMalformedUpload},
		{"two high surrogates", `["\ud83d\ud83d"]`, model.CodeMalformedUpload},
		{"no UTF-8", "[\"\xff\"]", model.CodeMalformedUpload},
		{"an overlong form", "[\"\xc0\xaf\"]", model.CodeMalformedUpload},
		{"half a character", "[\"\xc3\"]", model.CodeMalformedUpload},
		{"an encoded surrogate", "[\"\xed\xa0\x80\"]", model.CodeMalformedUpload},
		{"too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), model.CodeTooLarge},
		{"a long key", `{"` + strings.Repeat("k", 8<<10+1) + `":1}`, model.CodeTooLarge},
		{"a long number", `[` + strings.Repeat("1", 65) + `]`, model.CodeTooLarge},
		{"too many keys", manyKeys(20_000), model.CodeTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 3} {
				_, err := scan([]byte(tc.doc), size, &record{mode: func([]string) jsonstream.Mode { return jsonstream.Skip }}, jsonstream.Limits{})
				var denial *model.Denial
				if !errors.As(err, &denial) || denial.Code != tc.code {
					t.Errorf("in pieces of %d: got %v, expected %s", size, err, tc.code)
				}
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, `"%d":1,`, i)
	}
	return b.String() + `"last":1}`
}

// TestStreamIsPlain holds a streamed text to what base64 needs.
func TestStreamIsPlain(t *testing.T) {
	for _, text := range []string{`a\/b`, `a\u0041`, "a\u00e9"} {
		_, err := scan([]byte(`["`+text+`"]`), 0, &record{mode: func([]string) jsonstream.Mode { return jsonstream.Stream }}, jsonstream.Limits{})
		if err == nil {
			t.Errorf("%q is taken for base64", text)
		}
	}
}

// FuzzScanner compares with another strict parser, in pieces of every size.
func FuzzScanner(f *testing.F) {
	for _, doc := range []string{`{"a":[1,-0.5e-7,true,null,"x\ud83d\ude00"],"b":{}}`, `{"a":1,"a":2}`, `"\ud800"`, "[\"\xed\xa0\x80\"]", ` [ ] `, `{"":0}`} {
		f.Add([]byte(doc), byte(1))
	}
	f.Fuzz(func(t *testing.T, doc []byte, size byte) {
		first := bytes.TrimLeft(doc, " \r\n\t")
		if len(first) > 0 && first[0] != '{' && first[0] != '[' && first[0] != '"' {
			return // a scalar alone is refused here
		}
		whole := &record{mode: keep}
		_, err := scan(doc, 0, whole, jsonstream.Limits{Depth: 1 << 12, Keys: 1 << 30, Text: 1 << 30})
		var denial *model.Denial
		if errors.As(err, &denial) && denial.Code == model.CodeTooLarge {
			return
		}
		if want := jsontext.Value(doc).IsValid(); (err == nil) != want {
			t.Fatalf("%q: %v, but the other parser says %t", doc, err, want)
		}
		pieces := &record{mode: keep}
		_, again := scan(doc, max(1, int(size)), pieces, jsonstream.Limits{Depth: 1 << 12, Keys: 1 << 30, Text: 1 << 30})
		if (err == nil) != (again == nil) {
			t.Fatalf("%q: whole %v, in pieces %v", doc, err, again)
		}
		if diff := cmp.Diff(whole.events, pieces.events); diff != "" {
			t.Fatal(diff)
		}
	})
}

// BenchmarkStream is a large document of one base64 text.
func BenchmarkStream(b *testing.B) {
	piece := bytes.Repeat([]byte("QUJDREVGR0g"), 32<<10/11)
	visitor := &silent{}
	b.SetBytes(100 << 20)
	b.ReportAllocs()
	for b.Loop() {
		s := jsonstream.New(visitor, jsonstream.Limits{})
		if err := s.Feed([]byte(`{"data":"`)); err != nil {
			b.Fatal(err)
		}
		for sent := 0; sent < 100<<20; sent += len(piece) {
			if err := s.Feed(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Feed([]byte(`"}`)); err != nil || s.Close() != nil {
			b.Fatal(err, s.Close())
		}
	}
}

// silent streams all and keeps nothing.
type silent struct{}

func (*silent) Begin([]string, jsonstream.Kind) (jsonstream.Mode, error) {
	return jsonstream.Stream, nil
}
func (*silent) Value([]string, jsonstream.Kind, string) error { return nil }
func (*silent) Piece([]string, []byte) error                  { return nil }
func (*silent) End([]string, jsonstream.Kind) error           { return nil }
