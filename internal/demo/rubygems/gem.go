package rubygems

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// metadata is a specification as gem build writes it.
const metadata = `--- !ruby/object:Gem::Specification
name: %[1]s
version: !ruby/object:Gem::Version
  version: %[2]s
platform: ruby
authors:
- trustpub
autorequire:
bindir: bin
cert_chain: []
date: 2020-01-01 00:00:00.000000000 Z
dependencies: []
description:
email:
executables: []
extensions: []
extra_rdoc_files: []
files:
- lib/%[1]s.rb
homepage: https://gems.example.com
licenses:
- Apache-2.0
metadata: {}
post_install_message:
rdoc_options: []
require_paths:
- lib
required_ruby_version: !ruby/object:Gem::Requirement
  requirements:
  - - ">="
    - !ruby/object:Gem::Version
      version: '0'
required_rubygems_version: !ruby/object:Gem::Requirement
  requirements:
  - - ">="
    - !ruby/object:Gem::Version
      version: '0'
requirements: []
rubygems_version: 3.3.15
signing_key:
specification_version: 4
summary: A small gem that trustpub has built
test_files: []
`

// Gem builds a gem. other takes the place of its data, though not in its checksums; nil: nothing does.
func Gem(name, version string, other []byte) ([]byte, error) {
	meta, err := script.Gzip(fmt.Appendf(nil, metadata, name, version))
	if err != nil {
		return nil, err
	}
	data, err := script.TarGz(script.Entry{Name: "lib/" + name + ".rb", Data: fmt.Sprintf("# %s %s\n", name, version)})
	if err != nil {
		return nil, err
	}
	sums, err := script.Gzip(fmt.Appendf(nil, "---\nSHA256:\n  metadata.gz: %x\n  data.tar.gz: %x\nSHA512:\n  metadata.gz: %x\n  data.tar.gz: %x\n",
		sha256.Sum256(meta), sha256.Sum256(data), sha512.Sum512(meta), sha512.Sum512(data)))
	if err != nil {
		return nil, err
	}
	if other != nil {
		data = other
	}
	return script.Tar(
		script.Entry{Name: "metadata.gz", Data: string(meta)}, script.Entry{Name: "data.tar.gz", Data: string(data)},
		script.Entry{Name: "checksums.yaml.gz", Data: string(sums)})
}
