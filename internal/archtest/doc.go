// Package archtest holds the rules of the house as tests: which room may import which, what every file must look like, and
// that the documents say what the code does. It has no code of its own.
//
// The tests read the sources themselves instead of asking the go command where they can, so that `go test` knows which
// files a cached result depends on.
package archtest
