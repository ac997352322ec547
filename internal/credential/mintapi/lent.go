package mintapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Lent is a call that a library may make. The library builds the request; of the Call count the method, the path, Expect, Read, Hint
// and Refusal.
type Lent struct {
	API *API
	Call
}

// Client is the HTTP client of a library that makes calls by itself, as the SDKs of clouds do: its calls are made as Do makes them, and
// it makes no others, whatever it finds in its environment or in an answer. One serves the making of one credential.
type Client struct {
	calls []Lent

	mu  sync.Mutex
	err error
}

// Lend makes a client that makes these calls only.
func Lend(calls ...Lent) *Client { return &Client{calls: calls} }

// errNotLent is a request that the library was not to make.
var errNotLent = errors.New("the library makes a call that is not one of this source's: was it led elsewhere by an answer, or by its environment?")

// Do makes the library's request. What is no success, the library doesn't see: an SDK's error may quote it.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	for _, lent := range c.calls {
		if req.Method != lent.Method || req.URL.Scheme+"://"+req.URL.Host+req.URL.EscapedPath() != lent.API.where(lent.Call) {
			continue
		}
		got, err := lent.API.call(req.Context(), lent.Call, func(ctx context.Context, _ Call) (*http.Request, error) {
			return req.Clone(ctx), nil
		})
		if err != nil {
			return nil, c.note(err)
		}
		return &http.Response{
			Status: strconv.Itoa(got.status) + " " + http.StatusText(got.status), StatusCode: got.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
			Header: http.Header{"Content-Type": got.header["Content-Type"], "Date": got.header["Date"]},
			Body:   io.NopCloser(bytes.NewReader(got.body)), ContentLength: int64(len(got.body)),
		}, nil
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, c.note(errNotLent)
}

// RoundTrip is Do.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.Do(req) }

func (c *Client) note(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	return err
}

// Cause is what made the library fail: the call that did, as Do says it. Otherwise the library could not use what it was given or what it
// was answered, and its own error, which may quote both, is not shown.
func (c *Client) Cause(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case c.err != nil:
		return c.err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return errors.New("the library can't use what it was answered: do the URLs lead to the API?")
}
