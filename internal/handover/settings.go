package handover

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// part is a piece of a text, from one offset to another.
type part struct{ from, to int }

// server is a <server> of a settings file.
type server struct {
	id string
	// whole is all of it, configuration the element of that name; the zero part where there is none.
	whole, configuration part
	headers              bool
}

// settings are the places in a settings file where something is put in. The rest stays as it is, byte for byte.
type settings struct {
	text    string
	servers part // the start tag
	end     int  // where </settings> begins
	server  []server
}

// emptySettings is what is edited where the user has none.
const emptySettings = "<settings>\n</settings>\n"

// readSettings finds the places.
func readSettings(text string) (*settings, error) {
	if strings.TrimSpace(text) == "" {
		text = emptySettings
	}
	s := &settings{text: text, end: -1}
	d := xml.NewDecoder(strings.NewReader(text))
	var path []string
	for {
		from := int(d.InputOffset())
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the user's own settings.xml can't be read: %w", err)
		}
		to := int(d.InputOffset())
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			s.open(strings.Join(path, "/"), part{from, to})
		case xml.EndElement:
			s.close(strings.Join(path, "/"), part{from, to})
			path = path[:len(path)-1]
		case xml.CharData:
			if n := len(s.server); n > 0 && strings.Join(path, "/") == "settings/servers/server/id" {
				s.server[n-1].id += strings.TrimSpace(string(t))
			}
		}
	}
	if s.end < 0 {
		return nil, errors.New("the user's own settings.xml has no <settings> that ends, expected a settings file of Maven's")
	}
	return s, nil
}

func (s *settings) open(path string, at part) {
	switch path {
	case "settings/servers":
		s.servers = at
	case "settings/servers/server":
		s.server = append(s.server, server{whole: at})
	case "settings/servers/server/configuration":
		s.server[len(s.server)-1].configuration = at
	case "settings/servers/server/configuration/httpHeaders":
		s.server[len(s.server)-1].headers = true
	}
}

func (s *settings) close(path string, at part) {
	switch path {
	case "settings":
		if s.end = at.from; at.from == at.to { // <settings/>
			s.end = -1
		}
	case "settings/servers/server":
		s.server[len(s.server)-1].whole.to = at.to
	}
}

// MavenSettings is a settings file with the server of a grant, after the model of another; "": none. A server of the same name, which
// holds the password that the token replaces, is left out.
func MavenSettings(g Grant, own string) (string, error) {
	s, err := readSettings(own)
	if err != nil {
		return "", err
	}
	entry := "<server><id>" + escaped(g.Name) + "</id><username>" + User + "</username><password>" + escaped(g.Token) + "</password></server>"
	text := s.text
	if s.servers == (part{}) {
		return text[:s.end] + "<servers>" + entry + "</servers>\n" + text[s.end:], nil
	}
	tag := text[s.servers.from:s.servers.to]
	for _, one := range slices.Backward(s.server) {
		if one.id == g.Name {
			text = text[:one.whole.from] + text[one.whole.to:]
		}
	}
	if strings.HasSuffix(tag, "/>") {
		return text[:s.servers.from] + "<servers>" + entry + "</servers>" + text[s.servers.to:], nil
	}
	return text[:s.servers.to] + entry + text[s.servers.to:], nil
}

// shadowSettings adds the header to the server that has the password.
func shadowSettings(g Grant, own string) (string, error) {
	s, err := readSettings(own)
	if err != nil {
		return "", err
	}
	headers := "<httpHeaders><property><name>" + IdentityHeader + "</name><value>" + escaped(g.Token) + "</value></property></httpHeaders>"
	for _, one := range s.server {
		if one.id != g.Name {
			continue
		}
		switch {
		case one.headers:
			return "", fmt.Errorf("the server %q of settings.xml has httpHeaders already: --shadow can't add one", g.Name)
		case one.configuration == (part{}):
			at := strings.LastIndex(s.text[:one.whole.to], "</")
			return s.text[:at] + "<configuration>" + headers + "</configuration>" + s.text[at:], nil
		case strings.HasSuffix(s.text[one.configuration.from:one.configuration.to], "/>"):
			return s.text[:one.configuration.from] + "<configuration>" + headers + "</configuration>" + s.text[one.configuration.to:], nil
		}
		return s.text[:one.configuration.to] + headers + s.text[one.configuration.to:], nil
	}
	return "", fmt.Errorf("settings.xml has no server %q: --shadow adds a header beside its password; --name says which one", g.Name)
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // never fails with a Builder
	return b.String()
}
