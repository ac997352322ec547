package integration

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/pypi"
	"github.com/trustpub/trustpub/internal/model"
)

// fragments are what the parsers of forms stumble over.
var fragments = []string{
	"\r\n", "\n", "\r", "\v", "\f", "\x00", "\x1c", "\x85", "\xff", " ", "\t", ";", `"`, `\`, "=", "--", "-", "\r\n\r\n", "\r\n--",
	"--BOUNDARY", "--BOUNDARY--", "\r\n--BOUNDARY\r\n", "\r\n--BOUNDARY--\r\n", "\n--BOUNDARY\n", "BOUNDARY",
	"Content-Disposition: form-data; name=\"name\"\r\n\r\nevil", "name", "filename", ":action", "evil", "\u2028",
}

// boundaries may be sent quoted and, where their characters allow it, unquoted.
var boundaries = []string{"BbB", "a,b", "a/b", "a:b", "a=b", "a?b", "(a)", "a'b", "'ab'", "utf-8''x", "a+b", "a-", "a--", "--", "-", "_.+"}

// acceptedForm is a form that the gateway lets pass, with what it made of it.
type acceptedForm struct {
	Type   string       `json:"type"`
	Body   []byte       `json:"body"`
	Target model.Target `json:"-"`
	Size   int64        `json:"-"`
}

// readForms is what pypiserver (cgi) and devpi (WebOb) do with a form: one line of what was read for each form and parser.
const readForms = `
import base64, cgi, io, json, sys
from webob import Request
def by_cgi(kind, body):
    env = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": kind, "QUERY_STRING": ""}
    for i in cgi.FieldStorage(fp=io.BytesIO(body), environ=env, keep_blank_values=True, encoding="utf8").list or []:
        yield i.name, i
def by_webob(kind, body):
    return Request.blank("/", method="POST", body=body, headers={"Content-Type": kind}).POST.items()
for line in sys.stdin:
    form = json.loads(line)
    for read in (by_cgi, by_webob):
        got = {"name": [], "version": [], ":action": [], "content": [], "size": 0}
        try:
            for name, value in read(form["type"], base64.b64decode(form["body"])):
                if name not in got:
                    continue
                file = getattr(value, "filename", None)
                got[name].append(file if file is not None else getattr(value, "value", value))
                if file is not None:
                    got["size"] += len(value.file.read())
        except Exception as e:
            got["name"] = [repr(e)]
        print(json.dumps(got))
`

// readForm is a form as a registry reads it.
type readForm struct {
	Name    []string `json:"name"`
	Version []string `json:"version"`
	Action  []string `json:":action"`
	Content []string `json:"content"`
	Size    int64    `json:"size"`
}

// canonical folds the spellings of name and version.
func (f readForm) canonical() readForm {
	for i, v := range f.Name {
		if name, err := model.NormalizeName("pypi", v); err == nil {
			f.Name[i] = name
		}
	}
	for i, v := range f.Version {
		if version, err := model.NormalizeVersion("pypi", v); err == nil {
			f.Version[i] = version
		}
	}
	return f
}

// mutate changes a body at a few places.
func mutate(rng *rand.Rand, body []byte, boundary string) []byte {
	for range 1 + rng.IntN(3) {
		at := rng.IntN(len(body))
		fragment := strings.ReplaceAll(fragments[rng.IntN(len(fragments))], "BOUNDARY", boundary)
		end := min(len(body), at+rng.IntN(len(fragment)+4))
		if rng.IntN(2) == 0 {
			end = at
		}
		body = bytes.Join([][]byte{body[:at], body[end:]}, []byte(fragment))
	}
	return body
}

// TestRegistriesReadTheSameForm bends forms at random. Whatever the gateway accepts, the parsers of the real registries read as
// the same package, version and file.
func TestRegistriesReadTheSameForm(t *testing.T) {
	t.Parallel()
	python, err := toolbox.Devpi.Program(t.Context(), "python")
	if err != nil {
		t.Fatal(err)
	}
	public, _ := url.Parse("https://pypi.example.com/")
	eco, err := pypi.Kind.New(ecosystem.Settings{Registry: registryName, Public: public})
	if err != nil {
		t.Fatal(err)
	}
	op, err := eco.Classify(http.MethodPost, "/", nil, http.Header{"Content-Type": {"multipart/form-data; boundary=x"}})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	plain := client.NewForm("acme-widget", "1.0", "acme_widget-1.0-py3-none-any.whl", []byte("PK\x03\x04 some bytes\r\n and a line\n"))
	plain = slices.DeleteFunc(plain, func(p client.Part) bool { return p.Name == "sha256_digest" }) // nothing else would pass
	plain = plain.Before("content", "description", strings.Repeat("two\r\nlines ", 40)).Before("content", "classifiers", "A")
	var input bytes.Buffer
	var forms []acceptedForm
	for range 12_000 {
		boundary := boundaries[rng.IntN(len(boundaries))]
		header := http.Header{"Content-Type": {"multipart/form-data; boundary=" + boundary}}
		if rng.IntN(2) == 0 {
			header.Set("Content-Type", `multipart/form-data; boundary="`+boundary+`"`)
		}
		body := mutate(rng, bytes.ReplaceAll(plain.Bytes(), []byte(client.Boundary), []byte(boundary)), boundary)
		if form, ok := judged(eco, op, header, body); ok {
			forms = append(forms, form)
			if err := json.NewEncoder(&input).Encode(form); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(forms) < 1000 {
		t.Errorf("%d forms were accepted, too few to say anything", len(forms))
	}
	cmd := exec.CommandContext(t.Context(), python, "-W", "ignore", "-c", readForms)
	cmd.Stdin = &input
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := json.NewDecoder(bytes.NewReader(out))
	for _, form := range forms {
		for _, parser := range []string{"pypiserver", "devpi"} {
			var got readForm
			if err := lines.Decode(&got); err != nil {
				t.Fatal(err)
			}
			want := readForm{
				Name: []string{form.Target.Package}, Version: []string{form.Target.Version}, Action: []string{"file_upload"},
				Content: []string{form.Target.File}, Size: form.Size,
			}
			if diff := cmp.Diff(want, got.canonical()); diff != "" {
				t.Fatalf("%s reads another form (-gateway +registry):\n%s\n%s\n%q", parser, diff, form.Type, form.Body)
			}
		}
	}
}

// judged is a form as the gateway reads it; false where it refuses the form.
func judged(eco ecosystem.Ecosystem, op model.Operation, header http.Header, body []byte) (acceptedForm, bool) {
	s, err := eco.Open(op, header)
	if err != nil {
		return acceptedForm{}, false
	}
	if _, err := s.Scan(body); err != nil {
		return acceptedForm{}, false
	}
	if err := s.Finish(); err != nil {
		return acceptedForm{}, false
	}
	target, _ := s.Target()
	return acceptedForm{Type: header.Get("Content-Type"), Body: body, Target: target, Size: s.Artifact().Size}, true
}
