package model

// Kind describes one pluggable part (a credential source, a store, an audit sink) to whoever builds configurations.
//
// New returns a pointer to the part's configuration: a struct with JSON tags, from which the Caddyfile syntax follows
// without any code. A field `json:"token"` of type string, Secret or Duration is the subdirective `token VALUE`; a bool is a
// bare subdirective; a []string takes all its arguments and may repeat; a pointer to a struct takes its arguments by position
// (`basic USER PASSWORD`). A field tagged `caddyfile:"arg"` is taken from the line that names the part (`store redis ADDR`).
// A string tagged `caddyfile:"path"` (or "arg,path") is a path: a relative one is taken from the folder of the Caddyfile.
// Integers are read too; types with UnmarshalText read their own text.
type Kind[C any] struct {
	// Name is the word in the configuration and the last part of the Caddy module ID.
	Name string
	// New makes an empty configuration with its defaults.
	New func() C
}
