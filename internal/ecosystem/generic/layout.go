package generic

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// The placeholders of a layout. Each stands for a part of one segment.
const (
	holePackage = "{package}"
	holeVersion = "{version}"
	holeFile    = "{file}"
)

// maxSegment bounds a segment of a path, in bytes, as file systems do.
const maxSegment = 255

// segment is one part of a layout between slashes: a text, or a placeholder between two texts.
type segment struct{ before, hole, after string }

// layout says where packages are: each path has at most one reading.
type layout struct {
	text     string
	segments []segment
}

var literal = regexp.MustCompile(`^[A-Za-z0-9_.+~@-]*$`)

// parseLayout reads a layout like "/{package}/{version}/{file}". Two placeholders in one segment could be read in several ways.
func parseLayout(text string) (*layout, error) {
	if text == "" {
		return nil, errors.New(`a generic registry needs a layout, which says where packages are: layout /{package}/{version}/{file}`)
	}
	rest, ok := strings.CutPrefix(text, "/")
	if !ok || strings.HasSuffix(rest, "/") {
		return nil, fmt.Errorf("layout is %q, expected one that begins with a slash and does not end in one", text)
	}
	l := &layout{text: text}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, "/") {
		s, err := parseSegment(part)
		if err != nil {
			return nil, fmt.Errorf("layout %s: %w", text, err)
		}
		if s.hole != "" && seen[s.hole] {
			return nil, fmt.Errorf("layout %s: %s stands there twice", text, s.hole)
		}
		seen[s.hole] = true
		l.segments = append(l.segments, s)
	}
	if !seen[holePackage] {
		return nil, fmt.Errorf("layout %s: {package} is missing, which policies grant", text)
	}
	return l, nil
}

func parseSegment(part string) (segment, error) {
	var s segment
	for _, hole := range []string{holePackage, holeVersion, holeFile} {
		before, after, found := strings.Cut(part, hole)
		if !found {
			continue
		}
		if s.hole != "" {
			return s, fmt.Errorf("%q has two placeholders, expected one between two slashes", part)
		}
		s = segment{before, hole, after}
	}
	if s.hole == "" {
		s.before = part
	}
	switch {
	case strings.ContainsAny(s.before+s.after, "{}"):
		return s, fmt.Errorf("%q has another placeholder than {package}, {version} and {file}", part)
	case !literal.MatchString(s.before) || !literal.MatchString(s.after), part == "", s.hole == "" && strings.HasPrefix(part, "."):
		return s, fmt.Errorf("%q is no plain segment of letters, digits, '.', '_', '+', '~', '@' and '-'", part)
	}
	return s, nil
}

// match reads a path by the layout: nothing but plain segments, as many as the layout has. The file is the last segment where the
// layout has no {file}.
func (l *layout) match(path string) (t model.Target, ok bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) != len(l.segments) {
		return model.Target{}, false
	}
	t.File = parts[len(parts)-1]
	for i, s := range l.segments {
		text, ok := s.read(parts[i])
		if !ok {
			return model.Target{}, false
		}
		switch s.hole {
		case holePackage:
			t.Package = text
		case holeVersion:
			t.Version = text
		case holeFile:
			t.File = parts[i]
		}
	}
	return t, true
}

// read cuts what the placeholder stands for out of a part of a path. A name is judged by the rules of names, with its own texts
// around it.
func (s segment) read(part string) (text string, ok bool) {
	if s.hole == "" {
		return "", part == s.before
	}
	if len(part) > maxSegment {
		return "", false
	}
	rest, ok := strings.CutPrefix(part, s.before)
	if !ok {
		return "", false
	}
	if rest, ok = strings.CutSuffix(rest, s.after); !ok {
		return "", false
	}
	if _, err := model.NormalizeName(Kind.Name, part); err != nil { // the whole segment, so that no dot comes first
		return "", false
	}
	if s.hole == holeFile {
		return rest, rest != ""
	}
	_, err := model.NormalizeName(Kind.Name, rest)
	return rest, err == nil
}
