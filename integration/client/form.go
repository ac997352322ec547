package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Boundary is the boundary of every Form.
const Boundary = "integration-boundary-3f2c"

// Part is one part of an upload form, written as it is given.
type Part struct {
	Name string
	// File is the file name of the file part; empty for a text field.
	File  string
	Value []byte
}

// Form is an upload as curl would send it, so that tests can break one thing at a time.
type Form []Part

// NewForm is the upload of a file with its own digest, in the order of curl's arguments.
func NewForm(name, version, file string, content []byte) Form {
	sum := sha256.Sum256(content)
	return Form{
		{Name: ":action", Value: []byte("file_upload")},
		{Name: "protocol_version", Value: []byte("1")},
		{Name: "metadata_version", Value: []byte("2.1")},
		{Name: "name", Value: []byte(name)},
		{Name: "version", Value: []byte(version)},
		{Name: "filetype", Value: []byte("bdist_wheel")},
		{Name: "pyversion", Value: []byte("py3")},
		{Name: "sha256_digest", Value: []byte(hex.EncodeToString(sum[:]))},
		{Name: "content", File: file, Value: content},
	}
}

// With replaces the value of a field.
func (f Form) With(name, value string) Form {
	out := append(Form(nil), f...)
	for i := range out {
		if out[i].Name == name {
			out[i].Value = []byte(value)
		}
	}
	return out
}

// Before puts a text field in front of another.
func (f Form) Before(before, name, value string) Form {
	var out Form
	for _, p := range f {
		if p.Name == before {
			out = append(out, Part{Name: name, Value: []byte(value)})
		}
		out = append(out, p)
	}
	return out
}

// Last moves a field to the end.
func (f Form) Last(name string) Form {
	var out, last Form
	for _, p := range f {
		if p.Name == name {
			last = append(last, p)
			continue
		}
		out = append(out, p)
	}
	return append(out, last...)
}

// Fields are the text fields as NAME=VALUE, for curl.
func (f Form) Fields() []string {
	var out []string
	for _, p := range f {
		if p.File == "" {
			out = append(out, p.Name+"="+string(p.Value))
		}
	}
	return out
}

// Bytes is the body with its closing boundary.
func (f Form) Bytes() []byte {
	var b bytes.Buffer
	for _, p := range f {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", Boundary, p.Name)
		if p.File != "" {
			fmt.Fprintf(&b, "; filename=\"%s\"\r\nContent-Type: application/octet-stream", p.File)
		}
		b.WriteString("\r\n\r\n")
		b.Write(p.Value)
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", Boundary)
	return b.Bytes()
}

// ContentType is the form's content type.
func (f Form) ContentType() string { return "multipart/form-data; boundary=" + Boundary }
