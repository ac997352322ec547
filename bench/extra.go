package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// extra is another proxy, which joins the rows that any proxy can serve.
type extra struct {
	name, program string
	config        string // of the address that it listens on, the upstream's, and a file with the issuer's public key
	args          []string
}

// others are those that are known. They do what a plain reverse proxy does, with streamed bodies and connections kept; one also
// verifies the token, asks for one claim and swaps the credential, which is all that it can judge.
var others = []extra{
	{"nginx", "nginx", `daemon off;
error_log stderr;
pid nginx.pid;
worker_processes auto;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	client_max_body_size 0;
	upstream sink { server %[2]s; keepalive 256; }
	server {
		listen %[1]s;
		location / {
			proxy_pass http://sink;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_request_buffering off;
		}
	}
}
`, []string{"-p", ".", "-c"}},
	{"haproxy", "haproxy", haproxyDefaults + `frontend front
	bind %[1]s
	default_backend sink
` + haproxyBackend, []string{"-db", "-f"}},
	{"haproxy, jwt_verify", "haproxy", haproxyDefaults + `frontend front
	bind %[1]s
	http-request set-var(txn.bearer) http_auth_bearer
	http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
	http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"%[3]s") -m int 1 }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.repository') -m str acme/widget }
	http-request set-header Authorization "Basic cHVibGlzaGVyOnJlZ2lzdHJ5LXBhc3N3b3Jk"
	default_backend sink
` + haproxyBackend, []string{"-db", "-f"}},
}

const haproxyDefaults = `defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
`

const haproxyBackend = `backend sink
	http-reuse always
	server sink %[2]s
`

// extras are those that are on the PATH.
func extras() (found []extra) {
	for _, e := range others {
		if _, err := exec.LookPath(e.program); err == nil {
			found = append(found, e)
		}
	}
	return found
}

func (e extra) start(ctx context.Context, dir, upstream, key string) (*side, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, unnamed.ReplaceAllString(e.name, "-")+".conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, e.config, addr, upstream, key), 0o600); err != nil {
		return nil, err
	}
	return startSide(ctx, e.name, addr, dir, e.program, append(append([]string{}, e.args...), config)...)
}
