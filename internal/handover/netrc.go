package handover

import (
	"strings"
)

// Netrc is the entry of a netrc file. The token has a line for itself, since some readers bound a line.
func Netrc(g Grant) string {
	return "machine " + g.parsed().Hostname() + "\nlogin " + User + "\npassword " + g.Token + "\n"
}

// withNetrc is a netrc file with the user's own entries behind ours. Some readers take the first entry of a machine and some the last, so
// ours is there twice where the user has one.
func withNetrc(g Grant, p Place) Handover {
	entry := Netrc(g)
	text := entry
	if own := p.own(p.Getenv("NETRC"), p.inHome(".netrc")); own != "" {
		text += strings.TrimRight(own, "\n") + "\n"
		if strings.Contains(own, g.parsed().Hostname()) {
			text += "\n" + entry
		}
	}
	return Handover{Env: map[string]string{"NETRC": p.file("netrc")}, Files: map[string]string{"netrc": text}}
}
