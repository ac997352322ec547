package rubygems_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/model"
)

// TestInvariantJudgedBytesAreForwardedBytes breaks one thing of a gem at a time: each is what some reader takes for another gem.
func TestInvariantJudgedBytesAreForwardedBytes(t *testing.T) {
	meta, data := zipped(metadata), zipped("data")
	m, d := entry{"metadata.gz", meta}, entry{"data.tar.gz", data}
	other := zipped(strings.Replace(metadata, "widget", "other", 1))
	sums := checksums(meta, data)
	with := func(old, replacement string) []byte {
		if !strings.Contains(metadata, old) {
			t.Fatalf("no %q", old)
		}
		return gemOf(strings.Replace(metadata, old, replacement, 1))
	}
	header := func(change func(h []byte)) []byte {
		gem := gemOf(metadata)
		change(gem[:512])
		copy(gem[148:156], "        ")
		sum := 0
		for _, b := range gem[:512] {
			sum += int(b)
		}
		copy(gem[148:156], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0, ' '})
		return gem
	}
	const bad = model.CodeMalformedUpload
	for name, tc := range map[string]struct {
		gem  []byte
		code model.Code
	}{
		"the header helper works":       {header(func([]byte) {}), ""},
		"two metadata":                  {tarOf(m, entry{"metadata.gz", other}, d), model.CodeDuplicateField},
		"another spelling":              {tarOf(m, entry{"./metadata.gz", other}, d), bad},
		"another case":                  {tarOf(m, entry{"METADATA.gz", other}, d), bad},
		"the old format":                {tarOf(entry{"metadata", metadata}, d), bad},
		"an old script":                 {[]byte("#!/usr/bin/ruby\n" + strings.Repeat("MD5SUM", 200)), bad},
		"no metadata":                   {tarOf(d), model.CodeMissingField},
		"no data":                       {tarOf(m), model.CodeMissingField},
		"a folder":                      {header(func(h []byte) { h[156] = '5' }), bad},
		"a link":                        {header(func(h []byte) { h[156] = '2' }), bad},
		"an old plain file":             {header(func(h []byte) { h[156] = 0 }), bad},
		"a name of pax":                 {header(func(h []byte) { h[156] = 'x' }), bad},
		"a name of GNU":                 {header(func(h []byte) { h[156] = 'L' }), bad},
		"a header of GNU":               {header(func(h []byte) { copy(h[257:], "ustar  \x00") }), bad},
		"a header of no kind":           {header(func(h []byte) { clear(h[257:265]) }), bad},
		"a prefix":                      {header(func(h []byte) { h[345] = 'x' }), bad},
		"a target of a link":            {header(func(h []byte) { h[157] = 'x' }), bad},
		"text after the name":           {header(func(h []byte) { h[99] = 'x' }), bad},
		"a binary size":                 {header(func(h []byte) { h[124] = 0x80 }), bad},
		"a shorter size":                {header(func(h []byte) { h[124] = ' ' }), bad},
		"a wrong sum":                   {append([]byte("M"), gemOf(metadata)[1:]...), bad},
		"a sum of letters":              {func() []byte { g := gemOf(metadata); g[148] = 'x'; return g }(), bad},
		"bytes in the padding":          {func() []byte { g := gemOf(metadata); g[512+len(meta)] = 1; return g }(), bad},
		"an entry after an empty block": {append(append(gemOf(metadata)[:0:0], tarOf(m, d)[:len(tarOf(m, d))-512]...), tarOf(entry{"metadata.gz", other})...), bad},
		"text after the end":            {append(gemOf(metadata), 'x'), bad},
		"odd zeros after the end":       {append(gemOf(metadata), 0), bad},
		"many zeros after the end":      {append(gemOf(metadata), make([]byte, 64<<10)...), bad},
		"cut in the end":                {gemOf(metadata)[:len(gemOf(metadata))-512], bad},
		"cut in an entry":               {gemOf(metadata)[:700], bad},
		"empty":                         {nil, bad},
		"no gzip":                       {tarOf(entry{"metadata.gz", metadata}, d), bad},
		"half a gzip":                   {tarOf(entry{"metadata.gz", meta[:len(meta)-4]}, d), bad},
		"two gzips":                     {tarOf(entry{"metadata.gz", meta + other}, d), bad},
		"text after a gzip":             {tarOf(entry{"metadata.gz", meta + "x"}, d), bad},
		"a bomb":                        {tarOf(entry{"metadata.gz", zipped(strings.Repeat("a", 9<<20))}, d), model.CodeTooLarge},
		"values without end":            {gemOf(metadata + "files:\n" + strings.Repeat("-\n", 60_000)), model.CodeTooLarge},
		"comments without end":          {gemOf(metadata + "files:\n" + strings.Repeat("- #\n", 30_000)), model.CodeTooLarge},
		"values on one line":            {gemOf(metadata + "files: [" + strings.Repeat("{},", 20_000) + "]\n"), model.CodeTooLarge},
		"many files":                    {gemOf(metadata + "files:\n" + strings.Repeat("- lib/a.rb\n", 40_000)), ""},
		"large metadata":                {tarOf(entry{"metadata.gz", strings.Repeat("a", 3<<20)}, d), model.CodeTooLarge},
		"other checksums":               {tarOf(m, d, entry{"checksums.yaml.gz", zipped(checksums(other, data))}), model.CodeDigestMismatch},
		"checksums of other files":      {tarOf(m, d, entry{"checksums.yaml.gz", zipped(strings.Replace(sums, "metadata.gz", "other.gz", 1))}), bad},
		"checksums of another kind":     {tarOf(m, d, entry{"checksums.yaml.gz", zipped(strings.Replace(sums, "SHA256", "MD5", 1))}), bad},
		"checksums twice":               {tarOf(m, d, entry{"checksums.yaml.gz", zipped(strings.Replace(sums, "SHA512", "SHA256", 1))}), model.CodeDuplicateField},
		"checksums without SHA256":      {tarOf(m, d, entry{"checksums.yaml.gz", zipped(strings.Replace(sums, "SHA256", "SHA1", 1))}), model.CodeMissingField},
		"another SHA256 of the data":    {tarOf(m, d, entry{"checksums.yaml.gz", zipped(strings.Replace(sums, "data.tar.gz: ", "data.tar.gz: 0", 1))}), model.CodeDigestMismatch},
		"no checksums in theirs":        {tarOf(m, d, entry{"checksums.yaml.gz", zipped("---\nSHA256: {}\n")}), model.CodeMissingField},
		"checksums that are text":       {tarOf(m, d, entry{"checksums.yaml.gz", zipped("---\nx\n")}), bad},
		"checksums without a mapping":   {tarOf(m, d, entry{"checksums.yaml.gz", zipped("---\nSHA256: x\n")}), bad},
		"checksums that are no gzip":    {tarOf(m, d, entry{"checksums.yaml.gz", "x"}), bad},

		"no specification":             {gemOf("---\nname: widget\n"), bad},
		"another object":               {with("!ruby/object:Gem::Specification", "!ruby/object:Gem::Package"), bad},
		"a comment before it":          {gemOf("# x\n" + metadata), bad},
		"a directive":                  {gemOf("%YAML 1.1\n" + metadata), bad},
		"a byte order mark":            {gemOf("\ufeff" + metadata), bad},
		"no YAML":                      {with("name: widget", "name: [widget"), bad},
		"a second document":            {gemOf(metadata + metadata), bad},
		"a name twice":                 {with("name: widget", "name: other\nname: widget"), model.CodeDuplicateField},
		"a name in quotes too":         {with("name: widget", "\"n\\x61me\": other\nname: widget"), model.CodeDuplicateField},
		"a doubled key below":          {with("- me", "- {x: 1, x: 2}"), model.CodeDuplicateField},
		"a merge":                      {with("name: widget", "<<: {name: other}\nname: widget"), bad},
		"a key that is a list":         {with("name: widget", "? [a]\n: b\nname: widget"), bad},
		"an anchor":                    {with("summary: x", "summary: &a x"), bad},
		"an alias":                     {with("authors:\n- me", "authors: &a\n- me\nemail: *a"), bad},
		"an unknown tag":               {with("- me", "- !ruby/object:OpenStruct {}"), bad},
		"a tag of YAML":                {with("- me", "- !!binary aGk="), bad},
		"a tag on a name":              {with("name: widget", "name: !!str widget"), bad},
		"a tag on a text":              {with("- me", "- !ruby/object:Gem::Version x"), bad},
		"a specification inside":       {with("- me", "- !ruby/object:Gem::Specification {}"), bad},
		"an unknown attribute":         {with("summary: x", "full_name: other-1.0"), bad},
		"no name":                      {with("name: widget\n", ""), model.CodeMissingField},
		"an empty name":                {with(": widget", ": ''"), model.CodeMissingField},
		"no version":                   {with("version: !ruby/object:Gem::Version\n  version: 1.0.0\n", ""), model.CodeMissingField},
		"no platform":                  {with("platform: ruby\n", ""), model.CodeMissingField},
		"a version that is text":       {with("!ruby/object:Gem::Version\n  version: 1.0.0", "1.0.0"), bad},
		"a version without its tag":    {with("version: !ruby/object:Gem::Version\n", "version:\n"), bad},
		"a version of another kind":    {with("!ruby/object:Gem::Version", "!ruby/object:Gem::Requirement"), bad},
		"a version with more":          {with("  version: 1.0.0", "  version: 1.0.0\n  segments: [2]"), bad},
		"a version that is a number":   {with(": 1.0.0", ": 1.10"), bad},
		"a version that is a power":    {with(": 1.0.0", ": 1.5e3"), bad},
		"a version that is a date":     {with(": 1.0.0", ": 2026-01-01"), bad},
		"a version that is nothing":    {with(": 1.0.0", ":"), bad},
		"a version in a block":         {with(": 1.0.0", ": |-\n    1.0.0"), bad},
		"a version with a dash":        {with(": 1.0.0", ": 1.0.0-rc1"), bad},
		"a name that is a number":      {with(": widget", ": 0x1f"), bad},
		"a name that is a truth":       {with(": widget", ": yes"), bad},
		"a name that is a list":        {with(": widget", ": [widget]"), bad},
		"a name over two lines":        {with(": widget", ": widget\n  x"), bad},
		"a name that is a path":        {with(": widget", ": ../widget"), bad},
		"a platform that is a path":    {with(": ruby", ": ../x"), bad},
		"a platform that is an object": {with(": ruby", ": !ruby/object:Gem::Platform {cpu: x}"), bad},
		"a line break of Unicode":      {with("summary: x", "summary: x\u2028name: other"), bad},
		"a control character":          {with("summary: x", "summary: x\x85"), bad},
		"a carriage return":            {with("summary: x", "summary: x\rname: other"), bad},
		"deep":                         {with("summary: x", "summary: "+strings.Repeat("[", 40)+strings.Repeat("]", 40)), bad},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{len(tc.gem) + 1, 100} {
				if _, err := judge(t, pushOp, rawType, tc.gem, size); ecosystemtest.Code(err) != tc.code {
					t.Errorf("in pieces of %d: got %v, expected %q", size, err, tc.code)
				}
			}
		})
	}
}

func TestRefusedForms(t *testing.T) {
	gem := gemOf(metadata)
	good := formOf("widget-1.0.0.gem", gem)
	edit := func(old, replacement string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("no %q", old)
		}
		return bytes.Replace(good, []byte(old), []byte(replacement), 1)
	}
	part := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"attestations\"\r\n\r\n"
	for name, tc := range map[string]struct {
		body []byte
		code model.Code
	}{
		"good":                    {good, ""},
		"cut":                     {good[:len(good)-6], model.CodeTruncated},
		"another field":           {edit(`name="attestations"`, `name="overwrite"`), model.CodeMalformedUpload},
		"attestations as a file":  {edit(`name="attestations"`, `name="attestations"; filename="x"`), model.CodeMalformedUpload},
		"a gem as a field":        {edit(`name="gem"; filename="widget-1.0.0.gem"`+"\r\nContent-Type: application/octet-stream", `name="gem"`), model.CodeMalformedUpload},
		"another gem's file name": {edit("widget-1.0.0.gem", "gadget-1.0.0.gem"), model.CodePackageMismatch},
		"another version's":       {edit("widget-1.0.0.gem", "widget-1.0.1.gem"), model.CodePackageMismatch},
		"no gem's file name":      {edit("widget-1.0.0.gem", "widget-1.0.0.tgz"), model.CodePackageMismatch},
		"two gems":                {append(bytes.TrimSuffix(bytes.Clone(good), []byte("--\r\n")), append([]byte("\r\n"), good[len(boundary)+4:]...)...), model.CodeDuplicateField},
		"no gem":                  {[]byte(part + "[]\r\n--" + boundary + "--\r\n"), model.CodeMissingField},
		"large attestations":      {[]byte(part + strings.Repeat("x", 5<<20) + "\r\n--" + boundary + "--\r\n"), model.CodeTooLarge},
		"a bad gem":               {edit("ustar", "uster"), model.CodeMalformedUpload},
		"half a gem":              {bytes.Replace(good, gem, gem[:len(gem)-512], 1), model.CodeMalformedUpload},
	} {
		if _, err := judge(t, pushOp, formType, tc.body, 1000); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: got %v, expected %q", name, err, tc.code)
		}
	}
	for _, header := range []http.Header{{}, {"Content-Type": {"application/x-www-form-urlencoded"}}, {"Content-Type": {"application/octet-stream", "multipart/form-data"}}, {"Content-Type": {"multipart/form-data"}}} {
		if _, err := protocol(t).Open(pushOp, header); ecosystemtest.Code(err) != model.CodeMalformedUpload {
			t.Errorf("%v: got %v", header, err)
		}
	}
	if _, err := protocol(t).Open(model.Operation{Name: "read"}, rawType); ecosystemtest.Code(err) != model.CodeUnsupportedOperation {
		t.Errorf("got %v", err)
	}
	if err := protocol(t).Inspect(pushOp, rawType, model.Target{}, nil, 0); err != nil {
		t.Error(err)
	}
}
