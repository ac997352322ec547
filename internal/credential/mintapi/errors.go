package mintapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Error is a call that failed. It names the call and, where there was an answer, its status; it quotes nothing of the answer.
type Error struct {
	// Method and URL are the call's, without the query.
	Method, URL string
	// Status is what the API answered; zero where there was no whole answer, or where its content is what is wrong.
	Status int
	// Expected is the usual status of a success.
	Expected int
	// Hint says what to do; may be empty.
	Hint string
	// Reason is what went wrong where the status does not say it.
	Reason error
}

// Error is the sentence for the log.
func (e *Error) Error() string {
	text := e.Method + " " + e.URL + ": "
	if e.Reason != nil {
		return text + e.Reason.Error()
	}
	text += fmt.Sprintf("got %d, expected %d", e.Status, e.Expected)
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Reason }

// describe names the call of an error.
func (a *API) describe(c Call, err error) error {
	return &Error{Method: c.Method, URL: a.where(c), Reason: a.reason(err)}
}

// downError is an API that does not do its work: what happened, and the denial that says when to come back.
type downError struct {
	err    error
	denial *model.Denial
}

func (d *downError) Error() string { return d.err.Error() }

// Unwrap gives both.
func (d *downError) Unwrap() []error { return []error{d.err, d.denial} }

func down(err error, wait time.Duration) error {
	seconds := int((wait + time.Second - 1) / time.Second)
	return &downError{err, model.Deny(model.CodeCredentialUnavailable).Because(err).After(wait).
		Hinted("the API that makes the registry's credentials does not answer as it should; try again in %d seconds", seconds)}
}

// errMalformed is a call that can't be made.
var errMalformed = errors.New("the request can't be made of this URL")

// tooLarge is an answer of more bytes than this.
type tooLarge int64

func (l tooLarge) Error() string { return fmt.Sprintf("the answer is larger than %d bytes", int64(l)) }

// answerError is what a Read says of an answer; it is shown as it is.
type answerError string

func (e answerError) Error() string { return string(e) }

// Unfit is the error of a Read whose answer is not what it should be; the text must not quote it.
func Unfit(format string, args ...any) error { return answerError(fmt.Sprintf(format, args...)) }

// reason keeps what is known to quote nothing of the other side, and has a word for all else: net/http quotes what it can't parse.
func (a *API) reason(err error) error {
	var (
		large    tooLarge
		answer   answerError
		network  *net.OpError
		unknown  *net.DNSError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		x509Root x509.UnknownAuthorityError
		wrapped  *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fmt.Errorf("no answer within %s: %w", a.timeout, context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &large):
		return large
	case errors.As(err, &answer):
		return answer
	case errors.As(err, &verify):
		return fmt.Errorf("%w: is its certificate authority in ca?", verify)
	case errors.As(err, &x509Root):
		return fmt.Errorf("%w: is its certificate authority in ca?", x509Root)
	case errors.As(err, &unknown):
		return unknown
	case errors.As(err, &network):
		return network
	case errors.As(err, &record):
		return errors.New("the server does not speak TLS: is url one of http?")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection ended before the answer (EOF)")
	case errors.As(err, &wrapped):
		return errors.New("the connection broke, or what answers does not speak HTTP: does url lead to the API?")
	}
	return err
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// hintOf is the call's own hint, else what a status means everywhere.
func hintOf(c Call, got answer) string {
	status := got.status
	if c.Refusal != nil {
		if hint := c.Refusal(status, got.body); hint != "" {
			return hint
		}
	}
	if c.Hint != nil {
		if hint := c.Hint(status); hint != "" {
			return hint
		}
	}
	switch {
	case status >= 300 && status < 400:
		return "redirects are not followed, write url as it is served"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "check the secret and its rights"
	case status == http.StatusNotFound:
		return "does url lead to the API?"
	}
	return ""
}

// maxRetryAfter is the longest that an API can ask to be left alone.
const maxRetryAfter = 5 * time.Minute

// parseRetryAfter reads seconds or a date; zero where there is none.
func parseRetryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}
