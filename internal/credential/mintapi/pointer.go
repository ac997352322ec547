package mintapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// CheckPointer accepts a JSON pointer (RFC 6901) that is not the whole document.
func CheckPointer(pointer string) error {
	if !strings.HasPrefix(pointer, "/") || strings.ContainsAny(pointer, "{}") {
		return fmt.Errorf("a pointer %q, expected one like /token or /data/0/value", model.OneLine(pointer, 60))
	}
	return nil
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// at finds what a pointer points at.
func at(document any, pointer string) (any, bool) {
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = unescape.Replace(part)
		switch d := document.(type) {
		case map[string]any:
			member, ok := d[part]
			if !ok {
				return nil, false
			}
			document = member
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(d) || strconv.Itoa(i) != part {
				return nil, false
			}
			document = d[i]
		default:
			return nil, false
		}
	}
	return document, true
}

// TextAt is a text of the answer, or a whole number as its digits. Errors quote the pointer alone.
func TextAt(answer any, pointer string) (string, error) {
	switch v, _ := at(answer, pointer); v := v.(type) {
	case string:
		if v != "" {
			return v, nil
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), nil
		}
	}
	return "", Unfit("the answer has no text at %s", pointer)
}
