//go:build !undigested

package upload

// digesting is true in every build but one, which measures what all but the digests costs (go run ./bench). That one must never serve:
// it says of each file that it is empty.
const digesting = true
