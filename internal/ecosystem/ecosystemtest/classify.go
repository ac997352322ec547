package ecosystemtest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// Classifies compares what a protocol makes of a request, "METHOD path?query", with an operation, or with the code of its refusal.
func Classifies(t testing.TB, eco ecosystem.Ecosystem, request string, header http.Header, want model.Operation, code model.Code) {
	t.Helper()
	op, err := Classify(t, eco, request, header)
	if Code(err) != code {
		t.Errorf("%s: %v, expected %q", request, err, code)
	}
	if diff := cmp.Diff(want, op); code == "" && diff != "" {
		t.Errorf("%s (-want +got):\n%s", request, diff)
	}
}

// Classify asks a protocol about a request, "METHOD path?query".
func Classify(t testing.TB, eco ecosystem.Ecosystem, request string, header http.Header) (model.Operation, error) {
	t.Helper()
	method, target, _ := strings.Cut(request, " ")
	path, query, _ := strings.Cut(target, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return eco.Classify(method, path, values, header)
}
