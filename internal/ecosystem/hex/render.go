package hex

import (
	"encoding/binary"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// dialectErlang is what hex_core asks for, and with it mix and rebar3: answers in Erlang's external term format.
const dialectErlang = "erlang"

func dialectOf(header http.Header) string {
	if strings.Contains(strings.Join(header.Values("Accept"), ","), mediaHexErlang) {
		return dialectErlang
	}
	return ""
}

// Render writes a denial as the server writes its errors: a map with status and message, in Erlang's terms or in JSON.
func (*protocol) Render(op model.Operation, d *model.Denial) model.Reply {
	status := statusOf(op, d.Status)
	reply := ecosystem.JSON(status, struct {
		Status  int    `json:"status"`
		Message string `json:"message"`
		Code    string `json:"code"`
		Event   string `json:"event,omitempty"`
	}{status, d.Sentence(), string(d.Code), d.Event})
	if op.Dialect == dialectErlang {
		reply.Header.Set("Content-Type", mediaHexErlang)
		reply.Body = erlangMap(status, [][2]string{{"message", d.Sentence()}, {"code", string(d.Code)}, {"event", d.Event}})
	}
	reply.Reason = d.Sentence()
	if status == http.StatusUnauthorized {
		reply.Header.Set("WWW-Authenticate", `Basic realm="hex"`)
	}
	return reply
}

// statusOf is the status with which a client shows the message. rebar3 takes whatever is not 401, 403, 404, 422 or 500 for a success; mix shows
// nothing of a 403 to a publish where the package exists.
func statusOf(op model.Operation, status int) int {
	switch {
	case op.Kind == model.OperationRead || status == http.StatusUnauthorized:
		return status
	case status >= http.StatusInternalServerError:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

// erlangMap writes a map of binaries, and the status as a number, in the external term format. A pair whose value is empty is left out.
func erlangMap(status int, pairs [][2]string) []byte {
	b := []byte{termVersion, tagMap, 0, 0, 0, 1}
	b = appendBinary(b, "status")
	b = binary.BigEndian.AppendUint32(append(b, tagInteger), uint32(status)) //nolint:gosec // a status
	for _, pair := range pairs {
		if pair[1] != "" {
			b = appendBinary(appendBinary(b, pair[0]), pair[1])
			b[5]++
		}
	}
	return b
}

func appendBinary(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(append(b, tagBinary), uint32(len(s))) //nolint:gosec // a sentence
	return append(b, s...)
}
