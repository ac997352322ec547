package handover

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// maxNetrcToken is the longest password that curl reads from a netrc file, in bytes.
const maxNetrcToken = 4095

// curl finds the password in a netrc file, which binds it to the host, and the file by a .curlrc, so that a script may run it too.
var curl = Client{
	Name: "curl", Programs: []string{"curl"}, Renews: true,
	Hand: func(g Grant, p Place, _ []string) (Handover, error) {
		if len(g.Token) > maxNetrcToken {
			return Handover{}, fmt.Errorf("the token has %d bytes and curl reads at most %d from a netrc file: use --for env, and curl --oauth2-bearer \"$TRUSTPUB_TOKEN\"", len(g.Token), maxNetrcToken)
		}
		h := withNetrc(g, p)
		delete(h.Env, "NETRC")
		h.Env["CURL_HOME"] = p.Dir
		// Optional, so that a password on the command line, for another host, still counts.
		h.Files[".curlrc"] = p.curlrc() + "netrc-optional\nnetrc-file = " + quoted(p.file("netrc")) + "\n"
		return h, nil
	},
	Shadow: func(g Grant, p Place, command []string) (Handover, error) {
		// curl sends such a header to every host that it talks to.
		if program(command) != "curl" {
			return Handover{}, errors.New("--shadow needs curl itself as the command, to see which hosts it talks to")
		}
		if follows(command[1:]) || followsByFile.MatchString(p.curlrc()) {
			return Handover{}, errors.New("--shadow: curl follows redirects (-L), and would show the identity token to whatever host it is sent to")
		}
		found := false
		for _, arg := range command[1:] {
			if !strings.Contains(arg, "://") {
				continue
			}
			if !strings.HasPrefix(arg, g.URL) {
				return Handover{}, fmt.Errorf("--shadow: an argument names another place than %s, and curl would show it the identity token", g.URL)
			}
			found = true
		}
		if !found {
			return Handover{}, fmt.Errorf("--shadow: no argument is a URL below %s", g.URL)
		}
		return Handover{
			Env:   map[string]string{"CURL_HOME": p.Dir},
			Files: map[string]string{".curlrc": p.curlrc() + "header = " + quoted(IdentityHeader+": "+g.Token) + "\n"},
		}, nil
	},
}

// IdentityHeader is the header in which an identity token travels beside a password.
const IdentityHeader = "X-Trustpub-Identity"

// curlrc is the user's own file; a later line wins.
func (p Place) curlrc() string {
	var own string
	if home := p.Getenv("CURL_HOME"); home != "" {
		own = p.own(filepath.Join(home, ".curlrc"))
	} else {
		own = p.own(join(p.Getenv("XDG_CONFIG_HOME"), "curlrc"), p.inHome(".curlrc"))
	}
	if own != "" && !strings.HasSuffix(own, "\n") {
		own += "\n"
	}
	return own
}

// join is empty where the folder is.
func join(dir, name string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, name)
}

// quoted is a text of a curlrc.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// followsByFile is a line of a curlrc that makes curl follow redirects.
var followsByFile = regexp.MustCompile(`(?m)^\s*(-L|(--)?location)`)

// takesValue are curl's short options whose value may be joined to them.
const takesValue = "AbCcDdEeFHhKmoPQrTtUuwXxYyz"

// follows is true for arguments that make curl follow redirects.
func follows(args []string) bool {
	for _, arg := range args {
		if strings.HasPrefix(arg, "--") {
			if strings.HasPrefix(arg, "--location") {
				return true
			}
			continue
		}
		short, ok := strings.CutPrefix(arg, "-")
		for _, letter := range short {
			if ok && letter == 'L' {
				return true
			}
			if !ok || strings.ContainsRune(takesValue, letter) {
				break
			}
		}
	}
	return false
}
