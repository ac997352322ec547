// Package handover knows how each client of a package registry is given a credential: by which variables, in which files and with which
// arguments. One file for each client; the table says which programs it is for. Nothing here runs or writes anything.
package handover

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// User is the name beside a token, where a client wants one. The gateway takes any.
const User = "__token__"

// Grant is what a client is handed.
type Grant struct {
	// Name is what the client calls the registry: a repository's or server's id, a source, a registry of its configuration.
	Name string
	// URL is where the registry is; it ends in a slash.
	URL string
	// Token is the publish token; for a shadow, the identity token.
	Token string
}

func (g Grant) parsed() *url.URL {
	u, err := url.Parse(g.URL)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// host is with the port, where there is one.
func (g Grant) host() string { return g.parsed().Host }

// variable is the name as a part of environment variables.
func (g Grant) variable() string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, g.Name))
}

// Place is where the files of a hand-over go, and where the user's own settings are, which stay in force.
type Place struct {
	// Dir is a private folder that lives as long as the child.
	Dir string
	// Home is the user's.
	Home string
	// Getenv reads a variable of the child's environment.
	Getenv func(string) string
	// ReadFile reads a file of the user's; ReadDir lists a folder's names.
	ReadFile func(string) ([]byte, error)
	ReadDir  func(string) ([]string, error)
}

// inHome is a path below the user's home; empty where there is none. The folder of a job, whose files others may have written, is no home.
func (p Place) inHome(names ...string) string {
	if !filepath.IsAbs(p.Home) {
		return ""
	}
	return filepath.Join(append([]string{p.Home}, names...)...)
}

// file is the path of a file of the hand-over.
func (p Place) file(name string) string { return filepath.Join(p.Dir, name) }

// own is the content of the first file of the user's that can be read; "" where there is none.
func (p Place) own(paths ...string) string {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if b, err := p.ReadFile(path); err == nil {
			return string(b)
		}
	}
	return ""
}

// Handover is what a child gets.
type Handover struct {
	// Env are variables to set.
	Env map[string]string
	// Files are contents by the names below the place's folder, Links are paths that names there point at.
	Files, Links map[string]string
	// Args are the child's arguments, without the program; nil: as they were.
	Args []string
}

// merge adds another hand-over.
func (h *Handover) merge(other Handover) error {
	for _, m := range []struct{ into, from *map[string]string }{{&h.Env, &other.Env}, {&h.Files, &other.Files}, {&h.Links, &other.Links}} {
		for k, v := range *m.from {
			if *m.into == nil {
				*m.into = map[string]string{}
			}
			if have, ok := (*m.into)[k]; ok && have != v {
				return fmt.Errorf("two clients want %s to be different things: name one with --for", k)
			}
			(*m.into)[k] = v
		}
	}
	if other.Args != nil {
		h.Args = other.Args
	}
	return nil
}

// Hand makes a hand-over out of a grant and the child's command line.
type Hand func(g Grant, p Place, command []string) (Handover, error)

// Client is one entry of the table.
type Client struct {
	// Name is what --for calls it.
	Name string
	// Programs are the names of its programs, without folder and suffix.
	Programs []string
	// Renews is true where files are read again by each of the child's runs or requests, so that a new token can be put there.
	Renews bool
	// Tell is what the user must do for the hand-over to work; empty: nothing.
	Tell string
	// Hand hands a publish token over.
	Hand Hand
	// Shadow hands an identity token over beside the password that the client has; nil: the client lets no header be set.
	Shadow Hand
}

// clients is the table.
var clients = []Client{
	twine, poetry, hatch, flit, pdm, uv, pip,
	mvn, gradle, sbt,
	docker, cargo, gem, bundle, hex, nuget, npm, yarn, curl, env,
}

// Names are the words that --for takes.
func Names() []string {
	names := make([]string, 0, len(clients))
	for _, c := range clients {
		names = append(names, c.Name)
	}
	return names
}

// Named finds clients by the words of --for, which are joined by commas.
func Named(words string) ([]Client, error) {
	var out []Client
	for word := range strings.SplitSeq(words, ",") {
		at := slices.IndexFunc(clients, func(c Client) bool { return c.Name == word })
		if at < 0 {
			return nil, fmt.Errorf("--for is %q, expected one or more of %s, joined by commas", words, strings.Join(Names(), ", "))
		}
		out = append(out, clients[at])
	}
	return out, nil
}

// Of finds the client that a command line runs.
func Of(command []string) (Client, error) {
	name := program(command)
	for _, c := range clients {
		if slices.Contains(c.Programs, name) {
			return c, nil
		}
	}
	return Client{}, fmt.Errorf("%s is no client that is known: say with --for how it wants the token, as one or more of %s; for a script that runs a client, name the client; "+
		"env gives the variable TRUSTPUB_TOKEN", name, strings.Join(Names(), ", "))
}

// program is the name of what a command line runs, beneath the launchers of Python's and Node's worlds.
func program(command []string) string {
	if len(command) == 0 {
		return ""
	}
	name := filepath.Base(strings.ReplaceAll(command[0], `\`, "/"))
	for _, suffix := range []string{".exe", ".cmd", ".bat", ".sh"} {
		name = strings.TrimSuffix(name, suffix)
	}
	rest := command[1:]
	switch {
	case strings.HasPrefix(name, "python") && strings.Trim(name, "python.0123456789") == "":
		if at := slices.Index(rest, "-m"); at >= 0 && at+1 < len(rest) {
			return rest[at+1]
		}
	case name == "uvx":
		return launched(name, rest, 0)
	case name == "pipx" && len(rest) > 1 && rest[0] == "run", name == "uv" && len(rest) > 1 && rest[0] == "run":
		return launched(name, rest, 1)
	case name == "uv" && len(rest) > 2 && rest[0] == "tool" && rest[1] == "run":
		return launched(name, rest, 2)
	case strings.HasPrefix(name, "pip") && strings.Trim(name[len("pip"):], ".0123456789") == "":
		return "pip"
	}
	return name
}

// launched is the program behind a launcher's own words, unless options come first, of which some take a value.
func launched(launcher string, rest []string, skip int) string {
	if rest = rest[min(skip, len(rest)):]; len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return launcher
	}
	return program(rest)
}

// Together makes one hand-over of several clients.
func Together(list []Client, g Grant, p Place, command []string, shadow bool) (Handover, error) {
	var all Handover
	for _, c := range list {
		hand := c.Hand
		if shadow {
			if hand = c.Shadow; hand == nil {
				return all, fmt.Errorf("--shadow: %s lets no header be set, so it can't send X-Trustpub-Identity beside its password; "+
					"curl and mvn can. Without it, mode observe still names in the audit who publishes with which password", c.Name)
			}
		}
		one, err := hand(g, p, command)
		if err != nil {
			return all, fmt.Errorf("%s: %w", c.Name, err)
		}
		if err := all.merge(one); err != nil {
			return all, err
		}
	}
	return all, nil
}
