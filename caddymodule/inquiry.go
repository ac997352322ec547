package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/trustpub/trustpub/internal/doctor"
)

// maxInquiry bounds what is read of a registry's answer, in bytes.
const maxInquiry = 1 << 20

// inquiry is a question of the doctor's that travels with a request through a site whose gateway does not run: to the registry, by
// whatever is configured behind the gateway. It is taken from the request's context, which no client writes, and a gateway that
// serves does not look for one.
type inquiry struct {
	registry string
	// header is set on the way to the registry, after the logs have their copy of the request.
	header http.Header
	// instead, where it is set, answers in the place of the registry.
	instead func(http.ResponseWriter) error

	asked bool
	err   error
}

// inquiryKey is where a context has an inquiry.
type inquiryKey struct{}

// inquired serves a request of the doctor's; false where it is none, or not for this handler.
func (h *Handler) inquired(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (served bool, err error) {
	q, is := r.Context().Value(inquiryKey{}).(*inquiry)
	if !is {
		return false, nil
	}
	for i := range h.Registries {
		if h.Registries[i].Name != q.registry {
			continue
		}
		q.asked = true
		if q.instead != nil {
			return true, q.instead(w)
		}
		out := new(http.Request)
		*out = *r
		out.Header = http.Header{"Accept-Encoding": {"identity"}, "User-Agent": {"trustpub"}}
		maps.Copy(out.Header, q.header)
		q.err = anew(next)(w, out)
		return true, nil // error routes are not asked
	}
	return false, nil
}

// ask sends an inquiry for a URL through a server.
func (q *inquiry) ask(ctx context.Context, server *caddyhttp.Server, url string, header http.Header) (answer doctor.Answer, err error) {
	defer func() {
		if p := recover(); p != nil { // what a proxy does where an answer breaks off
			err = fmt.Errorf("the answer broke off: %v", p)
		}
	}()
	req, err := http.NewRequestWithContext(context.WithValue(ctx, inquiryKey{}, q), http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer, err
	}
	req.RequestURI, req.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:1"
	maps.Copy(req.Header, header)
	w := &answerWriter{header: http.Header{}}
	server.ServeHTTP(w, req)
	var handled caddyhttp.HandlerError
	switch {
	case ctx.Err() != nil:
		return answer, errors.New("no answer in time")
	case q.err != nil && errors.As(q.err, &handled) && handled.Err != nil:
		return answer, handled.Err
	case q.err != nil:
		return answer, q.err
	case !q.asked:
		return answer, doctor.ErrNoSite
	}
	return doctor.Answer{Status: w.status, Body: w.body.Bytes()}, nil
}

// answerWriter keeps an answer, up to a limit.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's.
func (a *answerWriter) Header() http.Header { return a.header }

// WriteHeader keeps the status; informational answers are not it.
func (a *answerWriter) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write keeps the beginning of the body.
func (a *answerWriter) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if room := maxInquiry - a.body.Len(); room > 0 {
		a.body.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

var _ http.ResponseWriter = (*answerWriter)(nil)
