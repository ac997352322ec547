package integration

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/trustpub/trustpub/integration/client"
)

// field is one of a header in HTTP/2, written as it stands.
type field struct{ name, value string }

// TestSmugglingOverHTTP2 writes frames of HTTP/2 that would be two requests, or another one, once they are written as HTTP/1: what reaches
// the registry is nothing.
func TestSmugglingOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reg := newRegistry(t, kind)
			p := newTap(t, reg.Addr)
			r := startRig(t, reg, withUpstream(p.Addr()))
			body := newWheel(t, "acme-widget", "1.0").form().Bytes()
			path, host := r.site.Registry.Path, r.site.Host()
			hidden := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
				path, reg.Addr, r.password().Get("Authorization"), client.Form{}.ContentType(), len(body), body)
			pseudo := []field{{":method", "POST"}, {":scheme", "https"}, {":authority", host}, {":path", path}}
			plain := []field{{"authorization", "Bearer " + r.identity(otherRepository)}, {"content-type", client.Form{}.ContentType()}}
			with := func(name, value string) []field { // a pseudo-header of another value
				all := append([]field(nil), pseudo...)
				for i := range all {
					if all[i].name == name {
						all[i].value = value
					}
				}
				return append(all, plain...)
			}
			and := func(more ...field) []field { return append(append(append([]field(nil), pseudo...), plain...), more...) }
			for name, tc := range map[string]struct {
				header   []field
				body     []byte
				trailers []field
			}{
				"a line break in the method":    {with(":method", "POST "+path+" HTTP/1.1\r\nX: y\r\n\r\nPOST"), body, nil},
				"a space in the method":         {with(":method", "PO ST"), body, nil},
				"an empty method":               {with(":method", ""), body, nil},
				"a request in the path":         {with(":path", path+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"+hidden), nil, nil},
				"a space in the path":           {with(":path", path+" HTTP/1.1"), body, nil},
				"a path without a slash":        {with(":path", "elsewhere"), body, nil},
				"an empty path":                 {with(":path", ""), body, nil},
				"a whole address as path":       {with(":path", "http://"+reg.Addr+path), body, nil},
				"a fragment in the path":        {with(":path", path+"#x"), body, nil},
				"a line break in the authority": {with(":authority", host+"\r\nX: y"), body, nil},
				"a user in the authority":       {with(":authority", "user@"+host), body, nil},
				"a path in the authority":       {with(":authority", host+path), body, nil},
				"another authority":             {with(":authority", "other.example.com"), body, nil},
				"an address as scheme":          {with(":scheme", "https://"+reg.Addr+"/?"), body, nil},
				"a line break in the scheme":    {with(":scheme", "https\r\nX: y"), body, nil},
				"another host":                  {and(field{"host", "other.example.com"}), body, nil},
				"a line break in a value":       {and(field{"user-agent", "x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden}), body, nil},
				"a line feed in a value":        {and(field{"user-agent", "x\ncontent-length: 0\n\n" + hidden}), body, nil},
				"a carriage return in a value":  {and(field{"accept", "x\rcontent-length: 0"}), body, nil},
				"a null byte in a value":        {and(field{"accept", "x\x00y"}), body, nil},
				"a line break in a name":        {and(field{"accept: x\r\ncontent-length", "0"}), body, nil},
				"a colon in a name":             {and(field{"content-length: 0\r\nx", "y"}), body, nil},
				"a space in a name":             {and(field{"content-length ", "0"}), body, nil},
				"an empty name":                 {and(field{"", "x"}), body, nil},
				"a name in capitals":            {and(field{"Transfer-Encoding", "chunked"}), body, nil},
				"chunked":                       {and(field{"transfer-encoding", "chunked"}), append([]byte("0\r\n\r\n"), hidden...), nil},
				"a connection":                  {and(field{"connection", "authorization, content-type"}), body, nil},
				"an upgrade":                    {and(field{"upgrade", "h2c"}, field{"http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"}), body, nil},
				"keep-alive":                    {and(field{"keep-alive", "timeout=5"}, field{"proxy-connection", "keep-alive"}), body, nil},
				"te":                            {and(field{"te", "chunked"}), body, nil},
				"a length that is short":        {and(field{"content-length", "5"}), append([]byte("hello"), hidden...), nil},
				"a length that is long":         {and(field{"content-length", fmt.Sprint(len(body) + 100)}), body, nil},
				"a length of zero":              {and(field{"content-length", "0"}), []byte(hidden), nil},
				"two lengths":                   {and(field{"content-length", fmt.Sprint(len(body))}, field{"content-length", "0"}), body, nil},
				"two lengths in one":            {and(field{"content-length", fmt.Sprint(len(body)) + ", 0"}), body, nil},
				"a signed length":               {and(field{"content-length", "+" + fmt.Sprint(len(body))}), body, nil},
				"a pseudo-header twice":         {append([]field{{":path", "/elsewhere"}}, and()...), body, nil},
				"two authorities":               {append([]field{{":authority", "other.example.com"}}, and()...), body, nil},
				"an unknown pseudo-header":      {append([]field{{":status", "200"}}, and()...), body, nil},
				"a pseudo-header that is late":  {and(field{":path", "/elsewhere"}), body, nil},
				"a tunnel":                      {[]field{{":method", "CONNECT"}, {":authority", reg.Addr}}, []byte(hidden), nil},
				"a tunnel of another protocol":  {append([]field{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":authority", host}, {":path", path}}, plain...), []byte(hidden), nil},
				"a body of a GET":               {with(":method", "GET"), []byte(hidden), nil},
				"a method in small letters":     {with(":method", "post"), body, nil},
				"two credentials":               {and(field{"authorization", r.password().Get("Authorization")}), body, nil},
				"trailers":                      {and(field{"trailer", "authorization"}), body, []field{{"authorization", r.password().Get("Authorization")}}},
				"trailers with a length":        {and(), body, []field{{"content-length", "0"}}},
				"trailers with a path":          {and(), body, []field{{":path", "/elsewhere"}}},
			} {
				t.Run(name, func(t *testing.T) {
					before := uploads(t, p)
					status := r.frames(t, tc.header, tc.body, tc.trailers)
					// Caddy answers 200 for a host that it has no site for; nothing of ours is asked then.
					if status != "" && status < "3" && name != "another authority" && name != "a tunnel" {
						t.Errorf("got %s, expected a refusal", status)
					}
					if after := uploads(t, p); len(after) != len(before) {
						t.Errorf("%d uploads reached the registry", len(after)-len(before))
					}
					r.holds(t)
				})
			}
		})
	}
}

// frames sends one request as frames, whatever is in them, and gives the status of the answer; empty where the stream or the connection
// was ended without one.
func (r *rig) frames(t *testing.T, header []field, body []byte, trailers []field) string {
	t.Helper()
	config := r.tls()
	config.NextProtos = []string{http2.NextProtoTLS}
	dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: config}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.Replace(r.site.Host(), "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(awaitLimit)); err != nil {
		t.Fatal(err)
	}
	if got := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != http2.NextProtoTLS {
		t.Fatalf("the gateway speaks %q", got)
	}
	block := func(fields []field) []byte {
		var b bytes.Buffer
		enc := hpack.NewEncoder(&b)
		for _, f := range fields {
			_ = enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
		}
		return b.Bytes()
	}
	framer := http2.NewFramer(conn, conn)
	framer.AllowIllegalWrites = true
	// The server may hang up at any of these.
	_, err = conn.Write([]byte(http2.ClientPreface))
	err = errors.Join(err, framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block(header), EndHeaders: true, EndStream: len(body) == 0 && trailers == nil,
	}))
	for rest := body; len(rest) > 0 && err == nil; {
		n := min(len(rest), 16<<10)
		err = framer.WriteData(1, trailers == nil && n == len(rest), rest[:n])
		rest = rest[n:]
	}
	if trailers != nil && err == nil {
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(trailers), EndHeaders: true, EndStream: true})
	}
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("no answer and no end")
			}
			return ""
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamID == 1 {
				return frame.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == 1 {
				return ""
			}
		case *http2.GoAwayFrame:
			return ""
		}
	}
}
