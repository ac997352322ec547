//go:build race

package gateway

// raceEnabled makes the gateway under test be built as the test is.
const raceEnabled = true
