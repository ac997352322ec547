package lint

import (
	"strings"
	"unicode"

	"github.com/trustpub/trustpub/policies"
)

// foreignLetters are letters of other alphabets that look like Latin ones (from Unicode's confusables, UTS 39).
var foreignLetters = map[rune]rune{
	'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'һ': 'h', 'і': 'i', 'ј': 'j', 'к': 'k', 'ӏ': 'l', 'м': 'm', 'п': 'n', 'о': 'o',
	'р': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'т': 't', 'ѵ': 'v', 'ԝ': 'w', 'х': 'x', 'у': 'y',
	'А': 'a', 'В': 'b', 'С': 'c', 'Е': 'e', 'Н': 'h', 'І': 'i', 'Ј': 'j', 'К': 'k', 'М': 'm', 'О': 'o', 'Р': 'p', 'Ѕ': 's', 'Т': 't', 'Х': 'x', 'У': 'y',
	'α': 'a', 'ε': 'e', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'τ': 't', 'υ': 'u', 'χ': 'x', 'γ': 'y', 'ω': 'w',
	'Α': 'a', 'Β': 'b', 'Ε': 'e', 'Ζ': 'z', 'Η': 'h', 'Ι': 'i', 'Κ': 'k', 'Μ': 'm', 'Ν': 'n', 'Ο': 'o', 'Ρ': 'p', 'Τ': 't', 'Υ': 'y', 'Χ': 'x',
	'ı': 'i', 'ɡ': 'g', 'ſ': 's', 'ո': 'n', 'օ': 'o', 'ս': 'u',
	'‐': '-', '‑': '-', '‒': '-', '–': '-', '−': '-', '⁄': '/', '∕': '/',
}

// skeleton is what a name looks like: names with one skeleton are easily taken for each other.
func skeleton(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch latin, foreign := foreignLetters[r]; {
		case foreign:
			r = latin
		case r >= 0xff01 && r <= 0xff5e: // full width
			r = unicode.ToLower(r - 0xff01 + '!')
		case r == 'I' || r == '1' || r == '|':
			r = 'l'
		case r == '0':
			r = 'o'
		case unicode.Is(unicode.Cf, r): // not seen at all
			continue
		default:
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return strings.NewReplacer("rn", "m", "vv", "w").Replace(b.String())
}

// seen is a name where it stands first.
type seen struct {
	text string
	in   *policy
	line int
}

// looks gathers names by what they look like.
type looks struct {
	first map[string]seen
	done  map[string]bool
}

// lookAlikes compares the names of one kind with each other, and looks for letters that are not what they seem.
func lookAlikes(p *pass) {
	all := looks{first: map[string]seen{}, done: map[string]bool{}}
	for _, in := range p.policies {
		for i := range in.fields {
			f := &in.fields[i]
			if f.Stable != "" || f.Gate != "" && f.Gate != "environment" {
				continue
			}
			for _, v := range f.Values {
				all.look(p, in, in.Issuer().Name+"\x00"+f.Name, f.Name, v.Text, v.Position)
			}
		}
		for _, g := range in.grants {
			for _, pkg := range g.Packages {
				if !pkg.Template {
					all.look(p, in, g.Registry+"\x00package", "package", pkg.Pattern, pkg.Position)
				}
			}
		}
	}
}

// look reports a name that looks like an earlier one of its kind, or that holds a letter of another alphabet; each name once.
func (l *looks) look(p *pass, in *policy, kind, what, text string, at policies.Position) {
	name := kind + "\x00" + text
	if l.done[name] {
		return
	}
	l.done[name] = true
	for _, r := range text {
		if latin, foreign := foreignLetters[r]; foreign || unicode.Is(unicode.Cf, r) || r >= 0xff01 && r <= 0xff5e {
			switch {
			case foreign:
				p.report(in, at, "write it in Latin letters", "%s is %+q, in which %U looks like %q", what, text, r, string(latin))
			default:
				p.report(in, at, "write it in Latin letters", "%s is %+q, in which %U is not what it seems", what, text, r)
			}
			break
		}
	}
	for _, look := range []string{"case\x00" + strings.ToLower(text), "shape\x00" + skeleton(text)} {
		key := kind + "\x00" + look
		first, twice := l.first[key]
		if !twice {
			l.first[key] = seen{text, in, at.Line}
			continue
		}
		p.report(in, at, "", "%s %+q looks like %+q in %s:%d", what, text, first.text, first.in.File, first.line)
		return
	}
}
