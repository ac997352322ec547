package mintapi

import (
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

func TestNewMaker(t *testing.T) {
	const example = "http://gitea:3000"
	clock := func() time.Time { return time.Unix(42, 0) }
	for name, tc := range map[string]struct {
		url, ca  string
		lifetime time.Duration
		lives    Lives
		now      func() time.Time
		want     time.Duration
		err      string
	}{
		"the defaults":        {"http://api:1/x/", "", 0, Lives{}, nil, DefaultLifetime, ""},
		"all of them":         {"https://api", "", time.Hour, Lives{}, clock, time.Hour, ""},
		"lives of its own":    {"http://api", "", 0, Lives{time.Hour, time.Minute, 2 * time.Hour}, nil, time.Hour, ""},
		"longer than its own": {"http://api", "", 3 * time.Hour, Lives{time.Hour, time.Minute, 2 * time.Hour}, nil, 0, "lifetime is 3h"},
		"no url":              {"", "", 0, Lives{}, nil, 0, "url is absent, expected where the gateway reaches the API: url " + example},
		"a short life":        {"http://api", "", time.Second, Lives{}, nil, 0, "lifetime is 1s"},
		"a long life":         {"http://api", "", 25 * time.Hour, Lives{}, nil, 0, "lifetime is 25h"},
		"an absent CA":        {"http://api", "/nowhere/ca.pem", 0, Lives{}, nil, 0, "ca: "},
		"a url with user":     {"http://a:b@api", "", 0, Lives{}, nil, 0, "url has a user or a password"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := NewMaker(tc.url, example, tc.ca, model.Duration(tc.lifetime), tc.lives, tc.now)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, expected %q", err, tc.err)
			}
			if got.Lifetime != tc.want || (got.API == nil) != (err != nil) {
				t.Errorf("got %+v, expected the lifetime %s", got, tc.want)
			}
			if err == nil && (got.API.Base() != strings.TrimRight(tc.url, "/") || tc.now != nil && !got.Now().Equal(clock())) {
				t.Errorf("got the base %q and the time %s", got.API.Base(), got.Now())
			}
		})
	}
}
