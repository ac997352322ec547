package ecosystem

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/trustpub/trustpub/internal/model"
)

// JSON is an answer in JSON that no cache may keep.
func JSON(status int, v any) model.Reply {
	body, err := json.Marshal(v)
	if err != nil { // not for structs of texts and numbers
		return model.Reply{Status: http.StatusInternalServerError, Header: http.Header{}}
	}
	return model.Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}, Body: body}
}

// Line is a denial as one line of text and as the reason phrase, with a challenge that every client of passwords knows.
func Line(d *model.Denial) model.Reply {
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	if d.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Basic realm="trustpub"`)
	}
	return model.Reply{Status: d.Status, Header: header, Body: []byte(d.Sentence() + "\n"), Reason: d.Sentence()}
}

// maxToken bounds a token in the body of an exchange, in bytes.
const maxToken = 32 << 10

// ParseJWT reads the body of an exchange as the clients of crates and gems send it: {"jwt": "..."}.
func ParseJWT(body []byte) (model.Exchange, error) {
	var in struct {
		JWT string `json:"jwt"`
	}
	// The decoder's error may quote the body, which holds a token, so it is dropped.
	if err := json.Unmarshal(body, &in); err != nil {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).
			Differ("body", "something else", `one JSON object with each name once, as in {"jwt": "..."}`)
	}
	if in.JWT == "" || len(in.JWT) > maxToken || strings.ContainsFunc(in.JWT, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("jwt in the body", "no token", "the identity token, without spaces or line breaks")
	}
	return model.Exchange{Token: in.JWT}, nil
}
