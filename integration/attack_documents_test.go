package integration

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/npm"
)

// jsonFragments are what parsers of JSON stumble over.
var jsonFragments = []string{
	`"`, `\`, `\"`, `\\`, `\u0022`, `\u005c`, `\u006e`, `\ud800`, `\udc00`, `\ud83d\ude00`, `\x41`, `\/`, `,`, `:`, `{`, `}`, `[`, `]`, ` `, "\t", "\n", "\r", "\v", "\f", "\x00", "\x1f",
	"\x7f", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\u00e9", "\u2028", "\ufeff", "null", "true", "NaN", "Infinity", "-", "+", "0", "00", "1e5", "1E+400", "/**/", "//", "#", "'",
	`"name":"evil",`, `,"name":"evil"`, `"Name":"evil",`, `"n\u0061me":"evil",`, `"__proto__":{"name":"evil"},`, `"constructor":{"name":"evil"},`, `"_id":"evil",`, `"versions":{},`, `"2.0.0":{},`,
	`"_attachments":{},`, `"toString":1,`, `"length":0,`, `"\u005f_proto__":{},`, `"name\u0000":"evil",`, `"data":"eA==",`, "AAAA", "=", "==", "-_",
}

// plainDocument is one that publishes; what stands in its other fields may be anything.
func plainDocument() []byte {
	archive := []byte(strings.Repeat("bytes of an archive\n", 8))
	sum := sha512.Sum512(archive)
	return fmt.Appendf(nil, `{"_id":"@acme/widget","name":"@acme/widget","description":"%s","readme":"%s","keywords":["a",{"b":[1,2.5e3,true,null]}],"dist-tags":{"latest":"1.0.0"},`+
		`"versions":{"1.0.0":{"name":"@acme/widget","version":"1.0.0","_id":"@acme/widget@1.0.0","scripts":{"test":"%s"},"dist":{"integrity":"sha512-%s","tarball":"https://npm.example.com/x.tgz"}}},`+
		`"access":null,"_attachments":{"@acme/widget-1.0.0.tgz":{"content_type":"application/octet-stream","data":"%s","length":%d}}}`,
		strings.Repeat("words ", 30), strings.Repeat("more words ", 60), strings.Repeat("run ", 20), base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(archive), len(archive))
}

// readDocument is a document as a registry reads it.
type readDocument struct {
	ID, Name              string
	Versions, Attachments []string
	Named, Numbered       string
	SHA256                string
	Refused               string
}

// nodeReads and pythonReads read documents as registries in their languages do, one line for each.
const (
	nodeReads = `
const crypto = require('crypto');
for (const line of require('fs').readFileSync(0, 'latin1').split('\n')) {
	if (!line) continue;
	let out;
	try {
		const doc = JSON.parse(Buffer.from(line, 'base64').toString('utf8'));
		const copy = Object.assign({}, doc); // as registries merge it
		const versions = Object.keys(copy.versions), attachments = Object.keys(copy._attachments);
		const version = copy.versions[versions[0]];
		const data = Buffer.from(copy._attachments[attachments[0]].data, 'base64');
		out = {ID: copy._id, Name: copy.name, Versions: versions, Attachments: attachments, Named: version.name, Numbered: version.version,
			SHA256: crypto.createHash('sha256').update(data).digest('hex')};
	} catch (e) { out = {Refused: String(e)}; }
	console.log(JSON.stringify(out));
}`
	pythonReads = `
import base64, hashlib, json, sys
for line in sys.stdin:
    try:
        doc = json.loads(base64.b64decode(line))
        versions, attachments = list(doc["versions"]), list(doc["_attachments"])
        version = doc["versions"][versions[0]]
        data = base64.b64decode(doc["_attachments"][attachments[0]]["data"])
        out = {"ID": doc.get("_id"), "Name": doc["name"], "Versions": versions, "Attachments": attachments, "Named": version["name"], "Numbered": version["version"],
            "SHA256": hashlib.sha256(data).hexdigest()}
    except Exception as e:
        out = {"Refused": repr(e)}
    print(json.dumps(out))
`
)

// TestRegistriesReadTheSameDocument bends documents of npm at random. Whatever the gateway accepts, parsers of Node.js and Python read as the
// same package and version with the same archive.
func TestRegistriesReadTheSameDocument(t *testing.T) {
	t.Parallel()
	public, _ := url.Parse("https://npm.example.com/")
	eco, err := npm.Kind.New(ecosystem.Settings{Registry: registryName, Public: public})
	if err != nil {
		t.Fatal(err)
	}
	op, err := eco.Classify(http.MethodPut, "/@acme%2fwidget", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var accepted [][]byte
	var sums []string
	for range 40_000 {
		doc := plainDocument()
		for range 1 + rng.IntN(2) {
			at := rng.IntN(len(doc))
			fragment := jsonFragments[rng.IntN(len(jsonFragments))]
			end := at
			if rng.IntN(3) == 0 {
				end = min(len(doc), at+rng.IntN(len(fragment)+2))
			}
			doc = bytes.Join([][]byte{doc[:at], doc[end:]}, []byte(fragment))
		}
		s, err := eco.Open(op, http.Header{"Content-Type": {"application/json"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Scan(doc); err != nil {
			continue
		}
		if err := s.Finish(); err != nil {
			continue
		}
		artifact := s.Artifact()
		accepted, sums = append(accepted, doc), append(sums, hex.EncodeToString(artifact.SHA256[:]))
	}
	if len(accepted) < 1000 {
		t.Errorf("%d documents were accepted, too few to say anything", len(accepted))
	}
	python, err := toolbox.Devpi.Program(t.Context(), "python")
	if err != nil {
		t.Fatal(err)
	}
	for _, reader := range [][]string{{"node", "-e", nodeReads}, {python, "-c", pythonReads}} {
		out, refused := allRead(t, reader, accepted), 0
		for i, doc := range accepted {
			var got readDocument
			if err := out.Decode(&got); err != nil {
				t.Fatal(err)
			}
			want := readDocument{
				ID: "@acme/widget", Name: "@acme/widget", Versions: []string{"1.0.0"}, Attachments: []string{"@acme/widget-1.0.0.tgz"},
				Named: "@acme/widget", Numbered: "1.0.0", SHA256: sums[i],
			}
			if got.Refused != "" { // nothing is read then
				refused++
				continue
			}
			if got.ID == "" {
				got.ID = want.ID // a document may do without
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s reads another document (-gateway +registry):\n%s\n%q", reader[0], diff, doc)
			}
		}
		if refused > len(accepted)/100 {
			t.Errorf("%s refuses %d of %d documents, too many to say anything", reader[0], refused, len(accepted))
		}
	}
}

// allRead gives documents to a program, each in base64 on a line, and returns its lines.
func allRead(t *testing.T, program []string, documents [][]byte) *json.Decoder {
	t.Helper()
	var input bytes.Buffer
	for _, doc := range documents {
		fmt.Fprintln(&input, base64.StdEncoding.EncodeToString(doc))
	}
	cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
	cmd.Stdin = &input
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program[0], err, complaints.String())
	}
	return json.NewDecoder(bytes.NewReader(out))
}

// sumOf is a SHA-256 in hexadecimal.
func sumOf(r io.Reader) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}
