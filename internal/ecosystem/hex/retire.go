package hex

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/go-json-experiment/json"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// maxRetire bounds the words of a retirement, in bytes.
const maxRetire = 8 << 10

// The fields of a retirement. Servers take others from the same document: the repository, and another method.
const (
	fieldReason  = "reason"
	fieldMessage = "message"
)

// retire is the scanner of the words with which a release is retired, which are kept whole.
type retire struct {
	target model.Target
	erlang bool
	text   []byte
}

// Scan keeps the words; nothing leaves before they are judged.
func (r *retire) Scan(p []byte) (int64, error) {
	if len(r.text)+len(p) > maxRetire {
		return 0, model.Deny(model.CodeTooLarge).Differ("body", "more", "at most 8192 bytes")
	}
	r.text = append(r.text, p...)
	return 0, nil
}

// Target is what the URL names.
func (r *retire) Target() (model.Target, bool) { return r.target, true }

// Finish reads the words.
func (r *retire) Finish() error {
	if r.erlang {
		return retirement(r.text)
	}
	var in struct {
		Reason  *string `json:"reason"`
		Message *string `json:"message"`
	}
	if err := json.Unmarshal(r.text, &in, json.RejectUnknownMembers(true)); err != nil {
		return malformed("body", "something else", `one JSON object with "reason" and "message", each once`).Because(err)
	}
	return nil
}

// Artifact is the words.
func (r *retire) Artifact() model.Artifact {
	return model.Artifact{File: r.target.File, Size: int64(len(r.text)), SHA256: sha256.Sum256(r.text)}
}

// The tags of Erlang's external term format.
const (
	termVersion = 131
	tagMap      = 't'
	tagBinary   = 'm'
	tagInteger  = 'b'
)

// retirement reads a map of binaries in the external term format: reason and message, each once, and nothing behind it.
func retirement(text []byte) error {
	refused := func(got string) error {
		return malformed("body", got, "a map of the binaries reason and message in Erlang's external term format")
	}
	const head = 6
	if len(text) < head || text[0] != termVersion || text[1] != tagMap {
		return refused("something else")
	}
	count, rest := binary.BigEndian.Uint32(text[2:]), text[head:]
	seen := map[string]bool{}
	for range min(count, 3) {
		key, after, ok := takeBinary(rest)
		if !ok || key != fieldReason && key != fieldMessage {
			return refused("another key")
		}
		if seen[key] {
			return model.Deny(model.CodeDuplicateField).Differ("key", key, "once")
		}
		seen[key] = true
		if _, rest, ok = takeBinary(after); !ok {
			if rest, ok = takeNil(after); !ok {
				return refused("another value of " + key)
			}
		}
	}
	if len(rest) > 0 {
		return refused("more behind it")
	}
	return nil
}

func takeBinary(b []byte) (value string, rest []byte, ok bool) {
	const head = 5
	if len(b) < head || b[0] != tagBinary {
		return "", b, false
	}
	size := int64(binary.BigEndian.Uint32(b[1:]))
	if size > int64(len(b)-head) {
		return "", b, false
	}
	return string(b[head : head+size]), b[head+size:], true
}

// takeNil reads the atom nil, in its old and its new form.
func takeNil(b []byte) (rest []byte, ok bool) {
	for _, form := range []string{"d\x00\x03nil", "w\x03nil", "s\x03nil"} {
		if len(b) >= len(form) && string(b[:len(form)]) == form {
			return b[len(form):], true
		}
	}
	return b, false
}

var _ upload.Scanner = (*retire)(nil)
