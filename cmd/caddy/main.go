// Command caddy is Caddy with the trusted publishing module and all its parts built in: what operators run.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/trustpub/trustpub/caddymodule"
	_ "github.com/trustpub/trustpub/caddymodule/azure"
	_ "github.com/trustpub/trustpub/caddymodule/codeartifact"
)

func main() { caddycmd.Main() }
