// Package integration proves the gateway with real registries and real clients: registries of every ecosystem behind the built
// cmd/caddy, and their clients in front of it, as they are and by the built cmd/trustpub, over TLS, on loopback.
//
// The servers and clients are installed with pinned versions into a cache (see package toolbox) the first time, which needs
// python3 with the venv module, a package index that pip is configured for, and curl. Whatever is missing makes the tests
// fail and say so; nothing is skipped. With -short nothing here runs.
//
// `go run ./integration/prepare` installs them beforehand, and shows how far it is.
//
// Goldens of what the clients print are under testdata/golden; write them again with
//
//	go test ./integration -run TestMatrix -update
package integration
