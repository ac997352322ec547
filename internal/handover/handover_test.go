package handover

import (
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden texts")

var grant = Grant{Name: "internal-prod", URL: "https://packages.example.com:8443/acme/prod/", Token: "tpub_TOKEN"}

// place is a home with these files, and a child's folder.
func place(files, env map[string]string) Place {
	return Place{
		Dir: "/private", Home: "/home", Getenv: func(name string) string { return env[name] },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		},
		ReadDir: func(dir string) ([]string, error) {
			var names []string
			for path := range files {
				if rest, ok := strings.CutPrefix(path, dir+"/"); ok && !strings.Contains(rest, "/") {
					names = append(names, rest)
				}
			}
			slices.Sort(names)
			return names, nil
		},
	}
}

// text writes a hand-over out.
func text(h Handover) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.Env)) {
		fmt.Fprintf(&b, "%s=%s\n", name, h.Env[name])
	}
	if h.Args != nil {
		fmt.Fprintf(&b, "args %q\n", h.Args)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Links)) {
		fmt.Fprintf(&b, "%s -> %s\n", name, h.Links[name])
	}
	for _, name := range slices.Sorted(maps.Keys(h.Files)) {
		fmt.Fprintf(&b, "-- %s --\n%s", name, h.Files[name])
	}
	return b.String()
}

// TestHandovers is what each client gets, in a home that has settings of its own; for each client there is one.
func TestHandovers(t *testing.T) {
	home := map[string]string{
		"/home/.netrc": "machine other.example.com\nlogin me\npassword mine\n", "/home/.curlrc": "silent",
		"/home/.npmrc": "save-exact=true\n//packages.example.com:8443/acme/prod/:_authToken=old",
		"/home/.docker/config.json": `{"auths":{"other.example.com":{"auth":"bWU6bWluZQ=="}},"credsStore":"desktop",` +
			`"credHelpers":{"packages.example.com:8443":"x","third.example.com":"y"},"currentContext":"c"}`,
		"/home/.docker/cli-plugins": "", "/home/.docker/contexts": "",
		"/home/.m2/settings.xml": "<settings><servers><server><id>internal-prod</id><password>old</password></server><server><id>other</id></server></servers></settings>\n",
	}
	for _, c := range clients {
		command := []string{c.Name, "publish"}
		if len(c.Programs) > 0 {
			command[0] = c.Programs[0]
		}
		h, err := Together([]Client{c}, grant, place(home, nil), command, false)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, c.Name, text(h))
		if !strings.Contains(text(h), "tpub_TOKEN") && c.Name != "docker" {
			t.Errorf("%s gets no token", c.Name)
		}
		if c.Renews && len(h.Files) == 0 {
			t.Errorf("%s is said to renew, and has no file", c.Name)
		}
		bare, err := Together([]Client{c}, grant, place(nil, nil), command, false)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, c.Name+"-bare", text(bare))
	}
}

// TestShadows: the password stays, and the identity token goes to the registry alone.
func TestShadows(t *testing.T) {
	settings := func(server string) map[string]string {
		return map[string]string{"/home/.m2/settings.xml": "<settings><servers>" + server + "</servers></settings>"}
	}
	const url = "https://packages.example.com:8443/acme/prod/"
	for _, tc := range []struct {
		name    string
		files   map[string]string
		command []string
		client  string
		failure string
	}{
		{name: "curl", client: "curl", command: []string{"curl", "-T", "x", url + "x"}, files: map[string]string{"/home/.curlrc": "user = me:mine\n"}},
		{name: "curl-elsewhere", client: "curl", command: []string{"curl", url + "x", "https://evil.example/"}, failure: "names another place"},
		{name: "curl-beside", client: "curl", command: []string{"curl", "https://packages.example.com/acme/prod/"}, failure: "names another place"},
		{name: "curl-nowhere", client: "curl", command: []string{"curl", "-T", "x"}, failure: "no argument is a URL"},
		{name: "curl-that-follows", client: "curl", command: []string{"curl", "-sSfL", url + "x"}, failure: "curl follows redirects"},
		{name: "curl-that-follows-by-its-long-name", client: "curl", command: []string{"curl", "--location-trusted", url + "x"}, failure: "curl follows redirects"},
		{name: "curl-that-follows-by-a-file", client: "curl", command: []string{"curl", url + "x"}, files: map[string]string{"/home/.curlrc": "silent\nlocation\n"}, failure: "curl follows redirects"},
		{name: "curl-in-a-script", client: "curl", command: []string{"sh", "x.sh"}, failure: "needs curl itself"},
		{name: "mvn", client: "mvn", command: []string{"mvn", "deploy"}, files: settings("<server><id>internal-prod</id><password>p</password></server>")},
		{name: "mvn-configured", client: "mvn", command: []string{"mvn", "deploy"}, files: settings("<server><id>internal-prod</id><configuration><timeout>9</timeout></configuration></server>")},
		{name: "mvn-empty-configuration", client: "mvn", command: []string{"mvn", "deploy"}, files: settings("<server><id>internal-prod</id><configuration/></server>")},
		{name: "mvn-with-headers", client: "mvn", command: []string{"mvn"}, files: settings("<server><id>internal-prod</id><configuration><httpHeaders/></configuration></server>"), failure: "has httpHeaders already"},
		{name: "mvn-of-another-server", client: "mvn", command: []string{"mvn"}, files: settings("<server><id>other</id></server>"), failure: "has no server \"internal-prod\""},
		{name: "env", client: "env", command: []string{"sh"}},
		{name: "twine", client: "twine", command: []string{"twine"}, failure: "twine lets no header be set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := Named(tc.client)
			if err != nil {
				t.Fatal(err)
			}
			h, err := Together(list, grant, place(tc.files, nil), tc.command, true)
			if tc.failure != "" {
				if err == nil || !strings.Contains(err.Error(), tc.failure) || strings.Contains(err.Error(), "TOKEN") {
					t.Errorf("got %v, want %s", err, tc.failure)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "shadow-"+tc.name, text(h))
		})
	}
}

func TestOf(t *testing.T) {
	for command, want := range map[string]string{
		"twine upload": "twine", "/usr/bin/twine upload": "twine", `C:\x\twine.exe upload`: "twine", "python -m twine upload": "twine",
		"python3.12 -I -m pip install x": "pip", "pip3 install": "pip", "pip3.11 install": "pip", "uvx twine upload": "twine",
		"uv run twine upload": "twine", "uv tool run hatch publish": "hatch", "uv publish": "uv", "uv run --with x twine": "uv", "pipx run flit": "flit",
		"./mvnw deploy": "mvn", "mvn.cmd deploy": "mvn", "./gradlew publish": "gradle", "skopeo copy": "docker", "podman push": "docker",
		"helm push": "docker", "npx semantic-release": "npm", "dotnet nuget push": "nuget", "rake release": "bundle",
		"make": "", "sh -c twine": "", "python script.py": "", "python -m": "", "uvx": "", "piper": "", "pythonic -m twine": "",
	} {
		c, err := Of(strings.Fields(command))
		if c.Name != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, want %q (%v)", command, c.Name, want, err)
		}
	}
	if _, err := Of([]string{"make"}); !strings.HasPrefix(err.Error(), "make is no client that is known: say with --for") {
		t.Error(err)
	}
	if _, err := Named("twine,foo"); err == nil || !strings.Contains(err.Error(), "expected one or more of twine, poetry") {
		t.Error(err)
	}
	for _, c := range clients {
		if list, err := Named(c.Name); err != nil || len(list) != 1 {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// TestPage: docs/clients/exec.md has a row for each client, says rightly whether it renews, and names all of its programs that stand alone.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/clients/exec.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		row := regexp.MustCompile("(?m)^\\| `" + c.Name + "` \\|.*\\| (yes|no) \\|$").FindSubmatch(page)
		if row == nil || (string(row[1]) == "yes") != c.Renews {
			t.Errorf("the page has the row %q of %s, which renews: %v", row, c.Name, c.Renews)
		}
	}
}

// TestTogether: several clients of one script, and two that want different things.
func TestTogether(t *testing.T) {
	list, err := Named("twine,npm,curl,pip")
	if err != nil {
		t.Fatal(err)
	}
	h, err := Together(list, grant, place(nil, nil), []string{"make"}, false)
	if err != nil || h.Env["TWINE_PASSWORD"] == "" || h.Env["NPM_CONFIG_USERCONFIG"] == "" || h.Env["CURL_HOME"] == "" || h.Files["netrc"] == "" {
		t.Errorf("%v\n%s", err, text(h))
	}
	odd := Client{Name: "odd", Hand: func(Grant, Place, []string) (Handover, error) {
		return Handover{Env: map[string]string{"TWINE_PASSWORD": "other"}}, nil
	}}
	if _, err := Together([]Client{twine, odd}, grant, place(nil, nil), nil, false); err == nil || !strings.Contains(err.Error(), "TWINE_PASSWORD") {
		t.Error(err)
	}
}

func TestMavenArguments(t *testing.T) {
	home := map[string]string{"ci.xml": "<settings><mirrors/></settings>"}
	for command, want := range map[string]string{
		"mvn -B deploy":                "-s /private/settings.xml -B deploy",
		"mvn -B -s ci.xml deploy":      "-B -s /private/settings.xml deploy",
		"mvn --settings ci.xml deploy": "--settings /private/settings.xml deploy",
		"mvn --settings=ci.xml deploy": "--settings=/private/settings.xml deploy",
	} {
		h, err := mvn.Hand(grant, place(home, nil), strings.Fields(command))
		if err != nil || strings.Join(h.Args, " ") != want || strings.Contains(command, "ci.xml") != strings.Contains(h.Files["settings.xml"], "<mirrors/>") {
			t.Errorf("%s: %q %v\n%s", command, h.Args, err, h.Files["settings.xml"])
		}
	}
	h, err := mvn.Hand(grant, place(nil, map[string]string{"MAVEN_ARGS": "-B"}), []string{"make"})
	if err != nil || h.Args != nil || h.Env["MAVEN_ARGS"] != "-B -s /private/settings.xml" {
		t.Errorf("%v %+v", err, h)
	}
}

// parsedServers are ids and passwords as a reader of XML sees them.
func parsedServers(text string) (map[string]string, error) {
	var s struct {
		XMLName xml.Name `xml:"settings"`
		Servers []struct {
			ID       string `xml:"id"`
			Password string `xml:"password"`
		} `xml:"servers>server"`
	}
	d := xml.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&s); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, one := range s.Servers {
		if _, twice := out[one.ID]; twice {
			return nil, fmt.Errorf("%s is there twice", one.ID)
		}
		out[one.ID] = one.Password
	}
	return out, nil
}

func TestMavenSettings(t *testing.T) {
	g := Grant{Name: "a&b", Token: "tpub_<x>"}
	for name, tc := range map[string]struct {
		own  string
		want map[string]string
	}{
		"none":           {"", map[string]string{"a&b": "tpub_<x>"}},
		"no servers":     {`<?xml version="1.0"?><settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><offline/></settings>`, map[string]string{"a&b": "tpub_<x>"}},
		"empty servers":  {"<settings><servers/></settings>", map[string]string{"a&b": "tpub_<x>"}},
		"other servers":  {"<settings><servers><!-- <server> --><server><id>o</id><password>p</password></server></servers></settings>", map[string]string{"a&b": "tpub_<x>", "o": "p"}},
		"the same":       {"<settings><servers><server><password>old</password><id>\n a&amp;b </id></server></servers></settings>", map[string]string{"a&b": "tpub_<x>"}},
		"the same twice": {"<settings><servers><server><id>a&amp;b</id></server><server><id>o</id></server><server><id>a&amp;b</id></server></servers></settings>", map[string]string{"a&b": "tpub_<x>", "o": ""}},
	} {
		got, err := MavenSettings(g, tc.own)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		servers, err := parsedServers(got)
		if diff := cmp.Diff(tc.want, servers); diff != "" || err != nil {
			t.Errorf("%s: %v %s\n%s", name, err, diff, got)
		}
	}
	for name, own := range map[string]string{"no XML": "hello <", "another document": "<project/>", "cut": "<settings><servers>", "empty element": "<settings/>"} {
		if got, err := MavenSettings(g, own); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// FuzzMavenSettings: whatever the user's own file is, the result has our server once, or is refused.
func FuzzMavenSettings(f *testing.F) {
	f.Add("<settings><servers><server><id>internal-prod</id></server></servers></settings>")
	f.Add("<settings><servers/></settings>")
	f.Add("<a:settings xmlns:a='x'><servers></servers></a:settings>")
	f.Fuzz(func(t *testing.T, own string) {
		got, err := MavenSettings(grant, own)
		if err != nil {
			return
		}
		d := xml.NewDecoder(strings.NewReader(got))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v\n%s", err, got)
			}
		}
		if strings.Count(got, grant.Token) != 1 && !strings.Contains(own, grant.Token) {
			t.Errorf("the token is there %d times\n%s", strings.Count(got, grant.Token), got)
		}
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestNoHome: without a home, files of those names in the job's folder are a repository's, and are not taken for the user's own.
func TestNoHome(t *testing.T) {
	files := map[string]string{}
	for _, name := range []string{".curlrc", ".netrc", ".npmrc", ".m2/settings.xml", ".docker/config.json", "config.json", ".docker/cli-plugins"} {
		files[name] = "proxy = evil.example"
	}
	p := place(files, nil)
	read := p.ReadFile
	p.ReadFile = func(path string) ([]byte, error) {
		b, err := read(path)
		if err == nil && path != ".npmrc" { // which is looked at for variables, and not copied
			t.Errorf("it read %s", path)
		}
		return b, err
	}
	for _, home := range []string{"", ".", "home"} {
		p.Home = home
		h, err := Together([]Client{curl, pip, npm, mvn, docker}, Grant{Name: "prod", URL: "https://packages.example.com/acme/prod/", Token: "tpub_TOKEN"}, p, []string{"make"}, false)
		if err != nil || len(h.Links) != 0 {
			t.Errorf("home %q: %v, links %v", home, err, h.Links)
		}
	}
}

// TestVariablesOfNpmrcs: settings often name a variable as the token of some registry. It holds ours only where that registry is the gateway, since npm would
// send it to whichever host the line is about.
func TestVariablesOfNpmrcs(t *testing.T) {
	const ours = "//packages.example.com:8443/acme/prod/:_authToken=${NPM_TOKEN}\n"
	for name, tc := range map[string]struct {
		home, folder string
		want         bool
	}{
		"nobody names it":                     {home: "save-exact=true\n"},
		"the repository, for the gateway":     {folder: ours, want: true},
		"the user, for the gateway":           {home: ours, want: true},
		"for another host":                    {folder: "//other.example.com/:_authToken=${NPM_TOKEN}\n"},
		"for both":                            {folder: ours + "//other.example.com/:_authToken=${NPM_TOKEN}\n"},
		"for the gateway, and by the user":    {folder: ours, home: "//other.example.com/:_authToken=${NPM_TOKEN?}\n"},
		"for a host that only begins so":      {folder: "//packages.example.com:8443.evil.example/:_authToken=${NPM_TOKEN}\n"},
		"for whatever host there is":          {folder: "_authToken=${NPM_TOKEN}\n"},
		"for the gateway, and in another way": {folder: "  " + ours + "proxy=http://${NPM_TOKEN}@evil.example/\n"},
	} {
		files := map[string]string{}
		for path, text := range map[string]string{"/home/.npmrc": tc.home, ".npmrc": tc.folder} {
			if text != "" {
				files[path] = text
			}
		}
		for _, client := range []Client{npm, yarn} {
			h, err := client.Hand(grant, place(files, nil), []string{client.Name, "publish"})
			if got := h.Env["NPM_TOKEN"] != ""; err != nil || got != tc.want || h.Env["NODE_AUTH_TOKEN"] != "" {
				t.Errorf("%s, %s: NPM_TOKEN is set: %t, %v", name, client.Name, got, err)
			}
		}
	}
}

// TestHexAPI: mix and rebar3 take the URL of the API, and add an organisation by themselves.
func TestHexAPI(t *testing.T) {
	for registry, want := range map[string]string{
		"https://hex.example.com/":                 "https://hex.example.com/api",
		"https://hex.example.com/api/":             "https://hex.example.com/api",
		"https://hex.example.com/api/repos/acme/":  "https://hex.example.com/api",
		"https://hex.example.com/repos/acme/":      "https://hex.example.com/api",
		"https://hex.example.com/sub/api/repos/a/": "https://hex.example.com/sub/api",
	} {
		if got := hexAPI(registry); got != want {
			t.Errorf("%s: got %s, expected %s", registry, got, want)
		}
	}
}
