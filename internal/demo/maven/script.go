// Package maven is the Maven part of the demo: a jar and its pom, the files that a deployment puts, and a repository of files.
package maven

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the checksum that every Maven repository has
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

const path, user, widget, gadget = "/releases/", "publisher", "com.example:widget", "com.example:gadget"

// tokenUser is the user name beside a token, which means nothing.
const tokenUser = "__token__"

// Script is the Maven part of the demo: a client that does what mvn deploy does.
var Script = script.Script{
	Ecosystem: "maven", Client: "mvn", Path: path, Source: "static", Option: "basic " + user,
	Package: widget, Other: gadget,
	Open:  func(string) (*script.Store, error) { return script.NewFiles(path, user), nil },
	Build: build, Carries: "its pom and their checksums, the identity token being the password", Publish: publish, Read: read,
	Trials: []script.Trial{
		{
			Name: "refuse a pom of another artifact", Code: model.CodePackageMismatch,
			Detail: "one that says " + gadget + ", at the path of " + widget, Try: otherPom,
		},
		{
			Name: "refuse to replace a release", Code: model.CodeAlreadyExists,
			Detail: "another jar as " + widget + " " + script.FirstVersion + ", which the repository would replace", Try: replaced,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand, Shows: "com/example/widget/maven-metadata.xml",
}

// coordinates are group and artifact.
func coordinates(name string) (group, artifact string) {
	group, artifact, _ = strings.Cut(name, ":")
	return group, artifact
}

// pom is that of a release.
func pom(r script.Release) string {
	group, artifact := coordinates(r.Name)
	return fmt.Sprintf(`<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>%s</groupId>
  <artifactId>%s</artifactId>
  <version>%s</version>
  <properties><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
  <distributionManagement><repository><id>demo</id><url>${env.DEMO_REPOSITORY}</url></repository></distributionManagement>
</project>
`, group, artifact, r.Version)
}

var versions = regexp.MustCompile(`<version>[^<]*</version>`)

// index is the list of an artifact's versions: those that it had, and a new one.
func index(old []byte, r script.Release) string {
	group, artifact := coordinates(r.Name)
	have := bytes.Join(versions.FindAll(old, -1), nil)
	return fmt.Sprintf(`<metadata><groupId>%s</groupId><artifactId>%s</artifactId>`+
		"<versioning><release>%[3]s</release><versions>%[4]s<version>%[3]s</version></versions></versioning></metadata>\n", group, artifact, r.Version, have)
}

func build(name, version string) (script.Package, error) {
	p := script.Package{Release: script.Release{Name: name, Version: version}}
	_, artifact := coordinates(name)
	p.File = artifact + "-" + version + ".jar"
	var out bytes.Buffer
	jar := zip.NewWriter(&out)
	for _, e := range []script.Entry{{Name: "META-INF/MANIFEST.MF", Data: "Manifest-Version: 1.0\r\n\r\n"}, {Name: "content.txt", Data: name + " " + version + "\n"}} {
		w, err := jar.CreateHeader(&zip.FileHeader{Name: e.Name, Method: zip.Deflate, Modified: script.Stamp})
		if err != nil {
			return p, err
		}
		if _, err := w.Write([]byte(e.Data)); err != nil {
			return p, err
		}
	}
	err := jar.Close()
	p.Data = out.Bytes()
	return p, err
}

// folder is where an artifact's files are.
func folder(c *script.Client, name string) string {
	group, artifact := coordinates(name)
	return c.Public + strings.ReplaceAll(group, ".", "/") + "/" + artifact + "/"
}

// put sends a file and its checksum.
func put(ctx context.Context, c *script.Client, login script.Login, at string, data []byte) error {
	if login.User == "" {
		login.User = tokenUser
	}
	sum := sha1.Sum(data) //nolint:gosec // as above
	for _, file := range []script.Entry{{Name: at, Data: string(data)}, {Name: at + ".sha1", Data: hex.EncodeToString(sum[:])}} {
		if _, err := c.Send(ctx, http.MethodPut, file.Name, script.Basic(login.User, login.Password), []byte(file.Data)); err != nil {
			return err
		}
	}
	return nil
}

// publish deploys the jar, the pom and the index.
func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	base := folder(c, p.Name)
	jar := base + p.Version + "/" + p.File
	if err := put(ctx, c, login, jar, p.Data); err != nil {
		return err
	}
	if err := put(ctx, c, login, strings.TrimSuffix(jar, ".jar")+".pom", []byte(pom(p.Release))); err != nil {
		return err
	}
	old, err := c.Get(ctx, base+"maven-metadata.xml")
	if r := (*script.Refused)(nil); err != nil && (!errors.As(err, &r) || r.Code != http.StatusNotFound) {
		return err
	}
	return put(ctx, c, login, base+"maven-metadata.xml", []byte(index(old, p.Release)))
}

// otherPom puts a pom where it does not belong.
func otherPom(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	at := folder(c, p.Name) + p.Version + "/" + strings.TrimSuffix(p.File, ".jar") + ".pom"
	return put(ctx, c, login, at, []byte(pom(script.Release{Name: gadget, Version: p.Version})))
}

// replaced puts another jar where the first one is.
func replaced(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	_, artifact := coordinates(p.Name)
	p.Version, p.File = script.FirstVersion, artifact+"-"+script.FirstVersion+".jar"
	return publish(ctx, c, login, p)
}

func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	base := folder(c, p.Name)
	list, err := c.Get(ctx, base+"maven-metadata.xml")
	if err == nil && !bytes.Contains(list, []byte("<version>"+p.Version+"</version>")) {
		err = fmt.Errorf("the index is %q, expected the version %s", model.OneLine(string(list), 300), p.Version)
	}
	if err != nil {
		return "", err
	}
	got, err := c.Get(ctx, base+p.Version+"/"+p.File)
	if err == nil && !bytes.Equal(got, p.Data) {
		err = errors.New("the jar that was downloaded is not the one that was published")
	}
	return "the artifact's index names the version, and the jar downloads unchanged", err
}

// prints is what mvn prints, shortened: the reason phrase.
func prints(r *script.Refused) []string {
	verb := "authorization failed for"
	switch r.Code {
	case http.StatusUnauthorized:
		verb = "authentication failed for"
	case http.StatusForbidden:
	default:
		verb = "transfer failed for"
	}
	return []string{fmt.Sprintf("[ERROR] Failed to deploy artifacts: %s %s, status: %d %s", verb, r.URL, r.Code, r.Reason())}
}

// settings have nothing secret: the password is in the environment.
const settings = `<settings>
  <servers>
    <server><id>demo</id><username>` + tokenUser + `</username><password>${env.MAVEN_TOKEN}</password></server>
  </servers>
</settings>
`

func lay(dir string) error {
	return script.WriteFiles(dir,
		script.Entry{Name: "settings.xml", Data: settings},
		script.Entry{Name: "widget/pom.xml", Data: pom(script.Release{Name: widget, Version: script.HandVersion})},
		script.Entry{Name: "widget/src/main/resources/content.txt", Data: widget + "\n"},
		script.Entry{Name: "gadget/pom.xml", Data: pom(script.Release{Name: gadget, Version: script.HandVersion})},
		script.Entry{Name: "gadget/src/main/resources/content.txt", Data: gadget + "\n"})
}

const byHand = `
# Java trusts what is in a store of its own: a copy of the JDK's, and the demo's authority
cp "$(dirname "$(readlink -f "$(command -v java)")")/../lib/security/cacerts" trusted && chmod u+w trusted
keytool -importcert -noprompt -alias demo -file {{.CA}} -keystore trusted -storepass changeit
export DEMO_REPOSITORY={{.Public}} MAVEN_OPTS="-Djavax.net.ssl.trustStore=$PWD/trusted -Djavax.net.ssl.trustStorePassword=changeit"
deploy() { (cd "dist/$1" && MAVEN_TOKEN=$(identity) mvn -B -q -gs ../settings.xml deploy); }

# the identity token is the password of the server "demo" in dist/settings.xml
deploy widget

# with trustpub exec, mvn has a server of that name, with a publish token, for as long as it runs
(cd dist/widget && sed -i.old s/1.3.0/1.4.0/ pom.xml && trustpub exec --registry {{.Public}} --name demo -- mvn -B -q deploy)

# a release is not replaced: the same again is refused
deploy widget

# so is this one, until policies/widget.yaml names com.example:gadget as well
deploy gadget

# what was published
curl -s {{.Public}}
`
