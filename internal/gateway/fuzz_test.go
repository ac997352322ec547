package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// FuzzHandler writes bytes to the whole gateway, from the server's own parser to the registry. Whatever reaches the registry as an upload is
// what the policy allows and the audit has: read by another parser than the gateway's, it names the same package, version and file.
func FuzzHandler(f *testing.F) {
	const plain = "--B\r\nContent-Disposition: form-data; name=\":action\"\r\n\r\nfile_upload\r\n--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nacme-widget\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"version\"\r\n\r\n1.0\r\n--B\r\nContent-Disposition: form-data; name=\"content\"; filename=\"acme_widget-1.0.tar.gz\"\r\n" +
		"Content-Type: application/octet-stream\r\n\r\nbytes of a file\r\n--B--\r\n"
	typed := "Content-Type: multipart/form-data; boundary=B\r\n"
	f.Add("POST PATH HTTP/1.1", "Host: HOST\r\nAuthorization: Bearer TOKEN\r\n"+typed, []byte(plain), false)
	f.Add("POST PATH HTTP/1.1", "Host: HOST\r\nAuthorization: Basic dXNlcjpwYXNzd29yZA==\r\n"+typed, []byte(plain), true)
	f.Add("POST PATH?:action=x HTTP/1.1", "Host: HOST\r\nAuthorization: Bearer TOKEN\r\nConnection: content-type\r\nCookie: a=b\r\n"+typed, []byte(plain), true)
	f.Add("PUT PATHx HTTP/1.0", "Host: HOST\r\nAuthorization: TOKEN\r\nContent-Length: 4\r\nX_Remote_User: root\r\nX-Devpi-Auth: TOKEN\r\n"+typed, []byte(strings.Replace(plain, "acme-widget", "evil", 1)), true)
	f.Add("GET PATH+simple/acme-widget/ HTTP/1.1", "Host: HOST\r\nAuthorization: Bearer TOKEN\r\nUpgrade: h2c\r\nConnection: upgrade\r\n", []byte("POST PATH HTTP/1.1\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, line, header string, body []byte, chunked bool) {
		if strings.Count(line+header, "TOKEN") > 4 {
			return
		}
		h := open(t)
		fill := strings.NewReplacer("PATH", h.registry.Public.Path, "HOST", h.registry.Public.Host, "TOKEN", h.identity())
		body = []byte(fill.Replace(string(body)))
		framing := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
		if chunked {
			framing = "Transfer-Encoding: chunked\r\n\r\n"
			body = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		}
		conn, in := h.raw()
		_, _ = io.WriteString(conn, fill.Replace(line)+"\r\n"+fill.Replace(header)+framing+string(body))
		_ = conn.(*net.TCPConn).CloseWrite()
		said, _ := io.ReadAll(in)
		if bytes.Contains(said, []byte(registryPassword)) {
			t.Errorf("the answer has the registry's password: %q", said)
		}
		for _, got := range h.upstream.stored() {
			h.wasJudged(got)
		}
	})
}

// wasJudged holds an upload that reached the registry against the policy and the audit.
func (h *house) wasJudged(got kept) {
	h.t.Helper()
	if got.uri != h.registry.Public.Path && got.uri+"/" != h.registry.Public.Path {
		h.t.Errorf("an upload reached %s", got.uri)
	}
	if user, password, ok := basicOf(got.header["Authorization"]); !ok || user != "publisher" || password != registryPassword {
		h.t.Errorf("it came with %q", got.header["Authorization"])
	}
	for name := range got.header {
		switch name {
		case "Authorization", "Content-Type", "Content-Length", "Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "X-Forwarded-For":
		default:
			h.t.Errorf("it came with the header %s", name)
		}
	}
	media, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		h.t.Fatalf("it is %q", got.header.Get("Content-Type"))
	}
	form, err := multipart.NewReader(bytes.NewReader(got.body), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		h.t.Fatalf("another parser can't read it: %v\n%q", err, got.body)
	}
	names, files := form.Value["name"], form.File["content"]
	if len(names) != 1 || len(files) != 1 || len(form.Value[":action"]) != 1 || form.Value[":action"][0] != "file_upload" {
		h.t.Fatalf("another parser reads %v and %d files", form.Value, len(files))
	}
	name, err := model.NormalizeName("pypi", names[0])
	if err != nil || name != "acme-widget" {
		h.t.Errorf("it is of %q", names[0])
	}
	file, err := files[0].Open()
	if err != nil {
		h.t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	e := h.audit.of(h.t, model.EventDecision)
	if e.Decision != "allow" || e.Target == nil || e.Target.Package != name || e.Target.File != files[0].Filename || e.SHA256 != hex.EncodeToString(sum[:]) {
		h.t.Errorf("the audit has %+v, and the registry has %s of %s with %x", e, files[0].Filename, name, sum)
	}
}

// basicOf is the only Basic credential of a header.
func basicOf(lines []string) (user, password string, ok bool) {
	if len(lines) != 1 {
		return "", "", false
	}
	return (&http.Request{Header: http.Header{"Authorization": lines}}).BasicAuth()
}
