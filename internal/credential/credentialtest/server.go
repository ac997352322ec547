package credentialtest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Mood is how a Server answers.
type Mood string

// The moods.
const (
	// Well: its handler answers.
	Well Mood = ""
	// Fails: 503, with a secret in the body that nobody may quote.
	Fails Mood = "it fails"
	// Limits: 429 with Retry-After.
	Limits Mood = "it limits"
	// Refuses: 401.
	Refuses Mood = "it refuses"
	// Forbids: 403.
	Forbids Mood = "it forbids"
	// Garbage: 200 and 201 with a page instead of JSON.
	Garbage Mood = "it answers with a page"
	// Empty: a success with an empty JSON object.
	Empty Mood = "it answers with an empty object"
	// Twice: a success whose JSON names everything twice.
	Twice Mood = "it names members twice"
	// Redirects: 307 to itself.
	Redirects Mood = "it redirects"
	// Huge: a success whose body does not end.
	Huge Mood = "it answers without an end"
	// Cuts: the connection ends before the answer.
	Cuts Mood = "it cuts the connection"
	// NotHTTP: bytes that are no HTTP, with a secret in them.
	NotHTTP Mood = "it does not speak HTTP"
	// Hangs: no answer until Release, or until the client goes.
	Hangs Mood = "it hangs"
)

// badMoods are those of an API that can't be used.
var badMoods = []Mood{Fails, Limits, Refuses, Forbids, Garbage, Empty, Twice, Redirects, Huge, Cuts, NotHTTP, Hangs}

// quoted is in every bad answer: it must be in no log and no error.
const quoted = "canary-in-the-answer-of-the-api"

// retryAfter is what Limits asks for, in seconds.
const retryAfter = "17"

// Server plays a registry's mint API: it counts the calls, and can be told to answer badly. The handler is the API's contract, as
// strict as its documentation.
type Server struct {
	*httptest.Server
	handler http.Handler

	mu       sync.Mutex
	calls    []string
	mood     Mood
	released chan struct{}
	arrived  chan struct{}
}

// NewServer starts one.
func NewServer(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	return serve(t, handler, httptest.NewServer)
}

// NewTLSServer starts one that speaks HTTPS, for a library that asks for it; Certificate is its own authority.
func NewTLSServer(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	return serve(t, handler, httptest.NewTLSServer)
}

func serve(t testing.TB, handler http.Handler, start func(http.Handler) *httptest.Server) *Server {
	t.Helper()
	s := &Server{handler: handler, released: make(chan struct{}), arrived: make(chan struct{}, 1024)}
	s.Server = start(s)
	t.Cleanup(func() {
		s.Become(Well)
		s.Close()
	})
	return s
}

// Become changes the mood, and lets go whoever hangs.
func (s *Server) Become(mood Mood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = mood
	close(s.released)
	s.released = make(chan struct{})
}

// Calls are the calls so far, as "METHOD path?query".
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Arrived is sent to at each call.
func (s *Server) Arrived() <-chan struct{} { return s.arrived }

// ServeHTTP answers in the mood of now.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+r.URL.RequestURI())
	mood, released := s.mood, s.released
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	if mood == Hangs {
		select {
		case <-released:
		case <-r.Context().Done():
			return
		}
		mood = Well
	}
	if mood == Well {
		s.handler.ServeHTTP(w, r)
		return
	}
	s.answerBadly(w, r, mood)
}

func (s *Server) answerBadly(w http.ResponseWriter, r *http.Request, mood Mood) {
	success := http.StatusOK
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		success = http.StatusCreated
	}
	switch mood {
	case Fails:
		http.Error(w, quoted, http.StatusServiceUnavailable)
	case Limits:
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, quoted, http.StatusTooManyRequests)
	case Refuses:
		http.Error(w, quoted, http.StatusUnauthorized)
	case Forbids:
		http.Error(w, quoted, http.StatusForbidden)
	case Garbage:
		w.WriteHeader(success)
		_, _ = w.Write([]byte("<html>" + quoted + "</html>"))
	case Empty:
		w.WriteHeader(success)
		_, _ = w.Write([]byte("{}"))
	case Twice:
		w.WriteHeader(success)
		_, _ = w.Write([]byte(`{"token":"` + quoted + `","token":"` + quoted + `"}`))
	case Redirects:
		http.Redirect(w, r, r.URL.Path+"?again="+quoted, http.StatusTemporaryRedirect)
	case Huge:
		w.WriteHeader(success)
		block := []byte(`{"x":"` + strings.Repeat("x", 1<<16))
		for range 1 << 10 { // 64 MiB are enough of an endless answer
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	case Cuts:
		panic(http.ErrAbortHandler)
	case NotHTTP:
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte(quoted + "\r\n\r\n"))
			_ = conn.Close()
		}
	}
}

// Clock is that of a played API, which follows the source's: it can be set while requests read it. The zero one is the machine's.
type Clock struct {
	now atomic.Pointer[func() time.Time]
}

// Set replaces it.
func (c *Clock) Set(now func() time.Time) { c.now.Store(&now) }

// Now is its time.
func (c *Clock) Now() time.Time {
	if now := c.now.Load(); now != nil {
		return (*now)()
	}
	return time.Now()
}
