package wheel

import (
	"bytes"
	"fmt"
)

// boundary is fixed, so that a form has the same bytes each time; no archive that this package builds contains it.
const boundary = "0e8ab3fd6f2b4d1c9a7755e1c3f0b2a4"

// Form is the body of an upload as twine sends it, and its Content-Type.
func (f File) Form() (contentType string, body []byte) {
	var b bytes.Buffer
	for _, field := range [][2]string{
		{"metadata_version", "2.1"},
		{"name", f.Package},
		{"version", f.Version},
		{"pyversion", f.Python},
		{"filetype", f.Type},
		{"sha256_digest", f.SHA256()},
		{":action", "file_upload"},
		{"protocol_version", "1"},
	} {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", boundary, field[0], field[1])
	}
	fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"content\"; filename=\"%s\"\r\nContent-Type: application/octet-stream\r\n\r\n",
		boundary, f.Name)
	b.Write(f.Data)
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return "multipart/form-data; boundary=" + boundary, b.Bytes()
}
