package devpi

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTry(t *testing.T) {
	public, _ := url.Parse("https://pypi.example.com/publisher/prod/")
	trial := (&source{public: public}).Try()
	if diff := cmp.Diff([]string{"/publisher/prod/+api", "application/json"}, []string{trial.Path, trial.Accept}); diff != "" {
		t.Errorf("the question (-want +got):\n%s", diff)
	}
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   bool
		fails  bool
	}{
		{"its token", 200, `{"type":"apiconfig","result":{"authstatus":["ok","publisher",[]]}}`, true, false},
		{"no token of its", 200, `{"type":"apiconfig","result":{"authstatus":["noauth","",[]]}}`, false, false},
		{"a login that has expired", 200, `{"type":"apiconfig","result":{"authstatus":["expired","publisher",[]]}}`, false, false},
		{"a broken signature", 403, `{"message":"Signatures do not match"}`, false, false},
		{"a wrong password", 401, ``, false, false},
		{"no status", 200, `{"type":"apiconfig","result":{}}`, false, true},
		{"another answer", 200, `{"type":"indexconfig","result":{"authstatus":["ok"]}}`, false, true},
		{"a web page", 200, `<html>`, false, true},
		{"a failure", 500, ``, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := trial.Accepted(tc.status, []byte(tc.body))
			if got != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %t, %v; want %t, an error %t", got, err, tc.want, tc.fails)
			}
		})
	}
}
