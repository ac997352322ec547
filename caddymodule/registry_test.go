package caddymodule

import "testing"

func TestParsePublicURL(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"as written", "https://pypi.example.com/root/prod/", "https://pypi.example.com/root/prod/"},
		{"final slash added", "https://pypi.example.com/root/prod", "https://pypi.example.com/root/prod/"},
		{"no path", "https://pypi.example.com", "https://pypi.example.com/"},
		{"host in capitals", "https://PyPI.Example.com/Root/", "https://pypi.example.com/Root/"},
		{"default port", "https://pypi.example.com:443/", "https://pypi.example.com/"},
		{"other port", "https://pypi.example.com:8443/", "https://pypi.example.com:8443/"},
		{"loopback http", "http://127.0.0.1:3141/", "http://127.0.0.1:3141/"},
		{"loopback http with default port", "http://localhost:80/", "http://localhost/"},
		{"loopback IPv6", "http://[::1]:3141/", "http://[::1]:3141/"},
		{"loopback IPv6 without port", "http://[::1]/", "http://[::1]/"},
		{"IPv6 with default port", "https://[2001:DB8::1]:443/", "https://[2001:db8::1]/"},
		{"subdomain of localhost", "http://pypi.localhost:8080/", "http://pypi.localhost:8080/"},
		{"plus sign in the path", "https://pypi.example.com/+simple/", "https://pypi.example.com/+simple/"},
		{"http elsewhere", "http://10.0.0.1/", ""},
		{"a host that begins like loopback", "http://127.0.0.1.example.com/", ""},
		{"a host that ends like localhost", "http://notlocalhost/", ""},
		{"opaque", "https:pypi.example.com", ""},
		{"scheme only", "https://", ""},
		{"question mark only", "https://pypi.example.com/?", ""},
		{"hash only", "https://pypi.example.com/#", ""},
		{"dot segment", "https://pypi.example.com/./", ""},
		{"encoded unreserved character", "https://pypi.example.com/%61/", ""},
		{"non-ASCII path", "https://pypi.example.com/ü/", ""},
		{"backslash", `https://pypi.example.com/a\b/`, ""},
		{"space", "https://pypi.example.com/a b/", ""},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := parsePublicURL(c.in)
			switch {
			case c.want == "" && err == nil:
				t.Errorf("%q was accepted as %s", c.in, u)
			case c.want != "" && err != nil:
				t.Errorf("%q: %v", c.in, err)
			case c.want != "" && u.String() != c.want:
				t.Errorf("%q is %s, expected %s", c.in, u, c.want)
			}
		})
	}
}
