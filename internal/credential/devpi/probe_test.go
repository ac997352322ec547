package devpi

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProbe(t *testing.T) {
	public, _ := url.Parse("https://pypi.example.com/publisher/prod/")
	probe := (&source{public: public}).Probe("acme-widget")
	if diff := cmp.Diff([]string{"/publisher/prod/acme-widget", "ignore_bases", "application/json"}, []string{probe.Path, probe.Query, probe.Accept}); diff != "" {
		t.Errorf("the question (-want +got):\n%s", diff)
	}
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   bool
		fails  bool
	}{
		{"it has versions", 200, `{"type":"projectconfig","result":{"1.0":{}}}`, true, false},
		{"only a base has it", 200, `{"type":"projectconfig","result":{}}`, false, false},
		{"nobody has it", 404, `{"message":"no project"}`, false, false},
		{"reading needs a login", 401, ``, false, true},
		{"reading is forbidden", 403, ``, false, true},
		{"a redirect", 302, ``, false, true},
		{"a web page", 200, `<html>`, false, true},
		{"another answer", 200, `{"type":"indexconfig","result":{"1.0":{}}}`, false, true},
		{"a failure", 500, ``, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := probe.Has(tc.status, []byte(tc.body))
			if got != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %t, %v; want %t, an error %t", got, err, tc.want, tc.fails)
			}
		})
	}
}
