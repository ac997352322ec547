package xmldoc

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// recodable is the XML declaration of the two other encodings that Recode knows, from the first byte on.
var recodable = regexp.MustCompile(`^<\?xml[ \t\r\n]+version=(?:"1\.0"|'1\.0')[ \t\r\n]+encoding=(?:"(?i:(iso-8859-1|us-ascii))"|'(?i:(iso-8859-1|us-ascii))')` +
	`(?:[ \t\r\n]+standalone=(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>`)

// Recode gives a document that declares ISO-8859-1 or US-ASCII in UTF-8, without its declaration; any other is given as it is, for Walk to
// judge. In both, a byte below 0x80 is the character of ASCII and no other byte is: names in ASCII and markup are the same to
// each reader, whether it heeds the declaration or not.
func Recode(text []byte) ([]byte, error) {
	m := recodable.FindSubmatch(text)
	if m == nil {
		return text, nil
	}
	rest := text[len(m[0]):]
	ascii := strings.EqualFold(string(m[1])+string(m[2]), "us-ascii")
	out := make([]byte, 0, len(rest))
	for _, c := range rest {
		if ascii && c >= utf8.RuneSelf {
			return nil, &Defect{fmt.Sprintf("the byte 0x%x", c), "US-ASCII, as its declaration says"}
		}
		out = utf8.AppendRune(out, rune(c)) // the bytes of ISO-8859-1 are the numbers of their characters
	}
	return out, nil
}
