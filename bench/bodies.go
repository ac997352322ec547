package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // as npm declares it
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/demo/wheel"
)

// content is a large body for a side: the head of the request, and the body as often as it is asked for.
type content = func(*rig, *side) (head request, body func() io.Reader, size int64)

// repeated is a text again and again.
type repeated struct {
	text string
	at   int
}

// Read never ends.
func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

const (
	boundary = "0e8ab3fd6f2b4d1c9a7755e1c3f0b2a4"
	formType = "multipart/form-data; boundary=" + boundary
	formEnd  = "\r\n--" + boundary + "--\r\n"
)

// formStart is the beginning of the form that twine sends, up to the file.
func formStart() string {
	var b strings.Builder
	for _, field := range [][2]string{
		{":action", "file_upload"}, {"protocol_version", "1"}, {"name", "widget"}, {"version", "1.0"}, {"filetype", "bdist_wheel"}, {"pyversion", "py3"},
	} {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, field[0], field[1])
	}
	fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"content\"; filename=\"widget-1.0-py3-none-any.whl\"\r\n\r\n", boundary)
	return b.String()
}

// wheelOf is a wheel of that size as twine sends it, made of a text.
func wheelOf(size int64, text string) content {
	return func(r *rig, s *side) (request, func() io.Reader, int64) {
		start := formStart()
		whole := int64(len(start)) + size + int64(len(formEnd))
		return newRequest(http.MethodPost, uploadPath, s.addr, r.token(s), formType, whole), func() io.Reader {
			return io.MultiReader(strings.NewReader(start), io.LimitReader(&repeated{text: text}, size), strings.NewReader(formEnd))
		}, whole
	}
}

// moduleOf is a document of about that size as npm sends it.
func moduleOf(size int64) content {
	const part = 3 * 250_000 // of the archive, which is the same part of the text each time
	encoded := base64.StdEncoding.EncodeToString([]byte(noise[:part]))
	times := size / int64(len(encoded))
	sum, short := sha512.New(), sha1.New() //nolint:gosec // as npm declares it
	for range times {
		sum.Write([]byte(noise[:part]))
		short.Write([]byte(noise[:part]))
	}
	start := fmt.Sprintf(`{"_id":"widget","name":"widget","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"widget","version":"1.0.0",`+
		`"dist":{"integrity":"sha512-%s","shasum":"%x"}}},"_attachments":{"widget-1.0.0.tgz":{"content_type":"application/octet-stream","data":"`,
		base64.StdEncoding.EncodeToString(sum.Sum(nil)), short.Sum(nil))
	end := fmt.Sprintf(`","length":%d}}}`, times*part)
	size = times * int64(len(encoded))
	whole := int64(len(start)) + size + int64(len(end))
	return func(r *rig, s *side) (request, func() io.Reader, int64) {
		return newRequest(http.MethodPut, "/modules/widget", s.addr, r.token(s), "application/json", whole), func() io.Reader {
			return io.MultiReader(strings.NewReader(start), io.LimitReader(&repeated{text: encoded}, size), strings.NewReader(end))
		}, whole
	}
}

// moduleWith is a document of about that size as npm sends it, with a small archive and a list of that element again and again.
func moduleWith(size int64, element string) content {
	archive := noise[:300]
	sum := sha512.Sum512([]byte(archive))
	// The list stands behind what names the target: in front of it, no more than 8 MiB may.
	start := fmt.Sprintf(`{"_id":"widget","name":"widget","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"widget","version":"1.0.0",`+
		`"dist":{"integrity":"sha512-%s"}}},"list":[`, base64.StdEncoding.EncodeToString(sum[:]))
	end := fmt.Sprintf(`0],"_attachments":{"widget-1.0.0.tgz":{"content_type":"application/octet-stream","data":"%s","length":%d}}}`,
		base64.StdEncoding.EncodeToString([]byte(archive)), len(archive))
	element = strings.Repeat(element, 64<<10/len(element)) // which is sent at once
	size = size / int64(len(element)) * int64(len(element))
	whole := int64(len(start)) + size + int64(len(end))
	return func(r *rig, s *side) (request, func() io.Reader, int64) {
		return newRequest(http.MethodPut, "/modules/widget", s.addr, r.token(s), "application/json", whole), func() io.Reader {
			return io.MultiReader(strings.NewReader(start), io.LimitReader(&repeated{text: element}, size), strings.NewReader(end))
		}, whole
	}
}

// read is a small read.
func (r *rig) read(s *side, token string) request {
	return newRequest(http.MethodGet, readPath, s.addr, token, "", 0)
}

// upload is a small upload.
func (r *rig) upload(s *side, token string) request {
	return append(newRequest(http.MethodPost, uploadPath, s.addr, token, smallType, int64(len(small))), small...)
}

// small is the form of a small wheel.
var smallType, small = func() (string, []byte) {
	file, err := wheel.Release{Name: "widget", Version: "1.0"}.Wheel()
	if err != nil {
		panic("building a wheel: " + err.Error())
	}
	return file.Form()
}()

// strange is a token of a key that the issuer does not have.
func (r *rig) strange(s *side, number int) string {
	claims, err := json.Marshal(r.issuer.Claims(s.addr, nil))
	if err != nil {
		panic("claims that JSON can't hold: " + err.Error())
	}
	header := map[string]any{"alg": issuer.RS256, "typ": "JWT", "kid": fmt.Sprintf("unknown-%d", number)}
	return r.issuer.Sign(issuer.RS256, header, claims)
}

// chunked sends a wheel in chunks of one byte.
func chunked(ctx context.Context, r *rig, s *side) (outcome, error) {
	const size = 2 * million
	text := formStart() + strings.Repeat(noise, 2)[:size] + formEnd
	var body strings.Builder
	for i := range len(text) {
		body.WriteString("1\r\n" + text[i:i+1] + "\r\n")
	}
	body.WriteString("0\r\n\r\n")
	head := newRequest(http.MethodPost, uploadPath, s.addr, r.token(s), formType, -1)
	began := time.Now()
	err := transfer(ctx, s.addr, head, strings.NewReader(body.String()))
	return outcome{units: size / million, elapsed: time.Since(began)}, err
}

// grows is how much more memory a side has at most while it does something, in MiB.
func grows(do work) work {
	return func(ctx context.Context, r *rig, s *side) (outcome, error) {
		start, err := r.warm(ctx, s)
		if err != nil {
			return outcome{}, err
		}
		if _, err := do(ctx, r, s); err != nil {
			return outcome{}, err
		}
		_, peak, err := s.memory()
		return outcome{value: float64(peak-start) / (1 << 20)}, err
	}
}

// warm does what a side has to do once, and returns its memory.
func (r *rig) warm(ctx context.Context, s *side) (int64, error) {
	requests := []request{r.read(s, r.token(s)), r.upload(s, r.token(s))}
	if _, err := crowd(ctx, s.addr, 1, http.StatusOK, each(requests)); err != nil {
		return 0, err
	}
	if err := s.forget(); err != nil {
		return 0, err
	}
	now, _, err := s.memory()
	return now, err
}

// stalled is how much memory each of many uploads takes that have stopped in the middle of their file, in kB.
func stalled(ctx context.Context, r *rig, s *side) (outcome, error) {
	const uploads, sent = 1000, 100_000
	start, err := r.warm(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	head, body, _ := wheelOf(million, noise)(r, s)
	arrived := r.arrived.Load()
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for range uploads {
		conn, err := dial(ctx, s.addr)
		if err != nil {
			return outcome{}, err
		}
		open = append(open, conn)
		if _, err := conn.Write(head); err != nil {
			return outcome{}, err
		}
		if _, err := io.CopyN(conn, body(), sent); err != nil {
			return outcome{}, err
		}
	}
	deadline, tick := time.After(time.Minute), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for r.arrived.Load() < arrived+uploads {
		select {
		case <-deadline:
			return outcome{}, fmt.Errorf("got %d uploads at the upstream after a minute, expected %d", r.arrived.Load()-arrived, uploads)
		case <-tick.C:
		}
	}
	now, _, err := s.memory()
	return outcome{value: float64(now-start) / 1000 / uploads}, err
}
