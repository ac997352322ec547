package gateway

import "testing"

func TestCheckHeader(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"X-Team", true},
		{"x-checksum-sha256", true},
		{"", false},
		{"X Team", false},
		{"X_Team", false},
		{"X.Team", false},
		{"X-Team:", false},
		{"authorization", false},
		{"Cookie", false},
		{"x-api-key", false},
		{"Connection", false},
		{"upgrade", false},
		{"X-Outside-URL", false},
		{"x-forwarded-host", false},
		{"X-HTTP-Method-Override", false},
		{"X-Trustpub-Identity", false},
		{"Content-Length", false},
		{"Content-Encoding", false},
		{"Host", false},
		{"Expect", false},
		{"content-range", false},
	} {
		if err := CheckHeader(c.name); (err == nil) != c.ok {
			t.Errorf("header %q: error %v, expected allowed to be %t", c.name, err, c.ok)
		}
	}
}

func TestCheckQueryKey(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"channel", true},
		{"a.b", true},
		{"", false},
		{"a=b", false},
		{"a&b", false},
		{"a b", false},
		{"a;b", false},
		{"token", false},
		{"Access_Token", false},
	} {
		if err := CheckQueryKey(c.name); (err == nil) != c.ok {
			t.Errorf("query key %q: error %v, expected allowed to be %t", c.name, err, c.ok)
		}
	}
}
