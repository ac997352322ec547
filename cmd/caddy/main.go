// Command caddy is Caddy with the trusted publishing module built in: what operators run.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/trustpub/trustpub/caddymodule"
)

func main() { caddycmd.Main() }
