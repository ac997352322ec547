//go:build undigested

package upload

const digesting = false
