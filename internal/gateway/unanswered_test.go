package gateway_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// silent makes the registry take every request and answer none, and the proxy give up on it soon.
func silent(h *house) {
	stuck := make(chan struct{})
	h.upstream.proxy.Transport = &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}
	h.upstream.behave(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-stuck
	})
	h.t.Cleanup(func() { close(stuck) })
}

// TestRegistryDoesNotAnswerInTime: a registry that gives no answer in time is another failure than one that can't be reached, for an
// upload and for a question before it; neither says that something was stored.
func TestRegistryDoesNotAnswerInTime(t *testing.T) {
	t.Run("an upload", func(t *testing.T) {
		h := open(t)
		silent(h)
		h.refused(h.publish(upload{token: h.identity()}), http.StatusGatewayTimeout, model.CodeUpstreamTimeout)
		if e := h.audit.of(t, model.EventOutcome); e.Result != "failed" || e.Code != model.CodeUpstreamTimeout {
			t.Errorf("the audit has %+v, expected a failed outcome", e)
		}
	})
	t.Run("whether the package exists", func(t *testing.T) {
		h := open(t, asked)
		h.policies.set(grantPattern)
		silent(h)
		h.refused(h.publish(upload{token: h.identity()}), http.StatusGatewayTimeout, model.CodeUpstreamTimeout)
	})
	t.Run("whether the file exists", func(t *testing.T) {
		h := open(t, once)
		silent(h)
		h.refused(h.publish(upload{token: h.identity()}), http.StatusGatewayTimeout, model.CodeUpstreamTimeout)
	})
}

// TestRegistryBreaksOff: an answer of which there is only a beginning is a failure of the registry that the client is told of, where nothing of it
// was passed on.
func TestRegistryBreaksOff(t *testing.T) {
	h := open(t)
	h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "stor")
	})
	h.refused(h.publish(upload{token: h.identity()}), http.StatusBadGateway, model.CodeUpstreamUnavailable)
	if e := h.audit.of(t, model.EventOutcome); e.Result != "failed" || e.Code != model.CodeUpstreamUnavailable {
		t.Errorf("the audit has %+v, expected a failed outcome", e)
	}
}
