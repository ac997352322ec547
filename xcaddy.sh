#!/usr/bin/env bash
# Builds a Caddy with the trusted publishing module, with pinned versions of Caddy and xcaddy.
#
#   ./xcaddy.sh [OUTPUT]          default output: ./caddy
#
# In a checkout it builds the checkout, from the module cache alone where that has everything. Outside of one, it builds the
# published version named by TRUSTPUB_VERSION (default: latest).
# More modules: XCADDY_WITH="github.com/owner/module@v1.2.3 ..." ./xcaddy.sh
set -euo pipefail

caddy_version=v2.11.9
xcaddy_version=v0.4.5
module=github.com/trustpub/trustpub

output=$(realpath -m "${1:-./caddy}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v go >/dev/null || { echo "xcaddy.sh: go is not installed; install Go 1.26 or newer" >&2; exit 1; }

args=()
for extra in ${XCADDY_WITH:-}; do
	args+=(--with "$extra")
done

checkout=false
if [[ -f "$here/go.mod" ]] && grep -qx "module $module" "$here/go.mod"; then
	checkout=true
	args+=(--with "$module/caddymodule" --replace "$module=$here")
else
	args+=(--with "$module/caddymodule@${TRUSTPUB_VERSION:-latest}")
fi

# fill_cache downloads what the build needs, while a network is there.
fill_cache() {
	GOBIN="$work" go install "github.com/caddyserver/xcaddy/cmd/xcaddy@$xcaddy_version"
	if $checkout; then
		(cd "$here" && go mod download)
	fi
}

# offline installs xcaddy from the module cache alone.
offline() {
	GOPROXY=off GOBIN="$work" go install "github.com/caddyserver/xcaddy/cmd/xcaddy@$xcaddy_version" 2>/dev/null
}

build() {
	"$work/xcaddy" build "$caddy_version" --output "$output" "${args[@]}"
}

# A checkout is built from the module cache where it is complete. xcaddy asks for the list of the module's versions, which a
# proxy doesn't have for a checkout, so the build itself never asks one.
if $checkout; then
	offline || fill_cache
	if ! GOPROXY=off build; then
		echo "xcaddy.sh: the module cache lacks something; downloading and trying once more" >&2
		fill_cache
		GOPROXY=off build
	fi
else
	fill_cache
	build
fi

"$output" list-modules | grep -q '^http.handlers.trusted_publishing$' || {
	echo "xcaddy.sh: $output lacks the module http.handlers.trusted_publishing" >&2
	exit 1
}
echo "built $output ($("$output" version))"
