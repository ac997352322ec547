package codeartifact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([A-Z0-9a-f]+)/([0-9]{8})/([a-z0-9-]+)/([a-z]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`)

// maxSkew is how far the clock of a signature may be off.
const maxSkew = 15 * time.Minute

// signed finds the session of a request by its signature, version 4.
func (s *Server) signed(r *http.Request) (*session, error) {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return nil, errors.New("no signature")
	}
	in := s.sessions[m[1]]
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	headers := strings.Split(m[5], ";")
	switch {
	case in == nil || r.Header.Get("X-Amz-Security-Token") != in.token || !s.Now().Before(in.ends):
		return nil, errors.New("no such session, or one that has ended")
	case err != nil || time.Since(at).Abs() > maxSkew || m[2] != at.Format("20060102"):
		return nil, errors.New("the date of the signature")
	case m[3] != Region || m[4] != "codeartifact":
		return nil, errors.New("the scope of the signature")
	case !slices.Contains(headers, "host") || !slices.Contains(headers, "x-amz-date") || !slices.Contains(headers, "x-amz-security-token"):
		return nil, errors.New("a header that must be signed")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return nil, err
	}
	scope := strings.Join([]string{m[2], m[3], m[4], "aws4_request"}, "/")
	text := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + digest([]byte(canonical(r, headers, body)))
	key := []byte("AWS4" + in.secretKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, text)); !hmac.Equal([]byte(want), []byte(m[6])) {
		return nil, errors.New("the signature does not match")
	}
	return in, nil
}

// canonical is the request as both sides write it.
func canonical(r *http.Request, headers []string, body []byte) string {
	var pairs []string
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) { // by name: "domain" is before "domain-owner"
		for _, v := range query[name] {
			pairs = append(pairs, escape(name)+"="+escape(v))
		}
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + r.URL.EscapedPath() + "\n" + strings.Join(pairs, "&") + "\n")
	for _, name := range headers {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
		}
		b.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	b.WriteString("\n" + strings.Join(headers, ";") + "\n" + digest(body))
	return b.String()
}

func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
