package integration

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/model"
)

// mavenPolicy grants the widgets of one group to the default job.
const mavenPolicy = `policies:
  - name: widget-release
    registry: internal-pypi
    packages: ["com.example:widget"]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`

func mavenRig(t *testing.T, options ...option) *rig {
	return newRig(t, "webdav", append([]option{withEcosystem("maven"), withPolicy("widget.yaml", mavenPolicy)}, options...)...)
}

// deploy runs mvn deploy of a jar.
func (r *rig) deploy(t *testing.T, artifact, version, password string) client.Result {
	t.Helper()
	got, err := r.home(nil).Maven(t.Context(), r.site.Public(), "com.example", artifact, version, password, random(8))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// paths are the files that the store holds.
func (r *rig) paths() []string {
	var all []string
	for path := range r.files() {
		all = append(all, path)
	}
	sort.Strings(all)
	return all
}

// TestMaven deploys with the real client into a store that checks nothing itself.
func TestMaven(t *testing.T) {
	t.Parallel()
	r := mavenRig(t)
	token := r.identity(nil)
	if got := r.deploy(t, "widget", "1.0", token); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	want := []string{
		"com/example/widget/1.0/widget-1.0.jar", "com/example/widget/1.0/widget-1.0.jar.md5", "com/example/widget/1.0/widget-1.0.jar.sha1",
		"com/example/widget/1.0/widget-1.0.pom", "com/example/widget/1.0/widget-1.0.pom.md5", "com/example/widget/1.0/widget-1.0.pom.sha1",
		"com/example/widget/maven-metadata.xml", "com/example/widget/maven-metadata.xml.md5", "com/example/widget/maven-metadata.xml.sha1",
	}
	if diff := cmp.Diff(want, r.paths()); diff != "" {
		t.Fatalf("the store holds something else (-want +got):\n%s", diff)
	}
	for _, tc := range []struct {
		name, artifact, version, password string
	}{
		{"a-replayed-token", "widget", "1.1", token},
		{"a-release-that-exists", "widget", "1.0", r.identity(nil)},
		{"another-package", "gadget", "1.0", r.identity(nil)},
		{"another-repository", "widget", "2.0", r.identity(otherRepository)},
		{"a-stranger", "widget", "2.0", r.identity(foreignRepository)},
		{"a-stolen-password", "widget", "2.0", r.reg.Password},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				got := r.deploy(t, tc.artifact, tc.version, tc.password)
				if got.Code == 0 {
					t.Errorf("exit status 0\n%s", got.Output)
				}
				golden(t, "maven-"+tc.name, client.Result{Code: got.Code, Output: mavenErrors(got.Output)})
			})
		})
	}
	t.Run("snapshots", func(t *testing.T) {
		for range 2 { // the second replaces the index of the first
			if got := r.deploy(t, "widget", "1.1-SNAPSHOT", r.identity(nil)); got.Code != 0 {
				t.Errorf("exit status %d\n%s", got.Code, got.Output)
			}
		}
	})
}

// mavenErrors is what is left of Maven's output without its progress: the first line that says what failed.
func mavenErrors(output string) string {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "[ERROR] Failed to execute goal") {
			return line
		}
	}
	return output
}

// basicAs is a Basic credential.
func basicAs(user, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}

func basic(password string) http.Header {
	return basicAs("__token__", password)
}

// TestMavenRefusals are requests that no client makes: each with the code that names what is wrong, and an unchanged store.
func TestMavenRefusals(t *testing.T) {
	t.Parallel()
	r := mavenRig(t)
	const dir = "/com/example/widget/1.0/"
	pom := func(artifact string) string {
		return "<project><groupId>com.example</groupId><artifactId>" + artifact + "</artifactId><version>1.0</version></project>"
	}
	for _, tc := range []struct {
		name, method, path, body string
		code                     model.Code
	}{
		{"the pom of another artifact", "PUT", dir + "widget-1.0.pom", pom("gadget"), model.CodePackageMismatch},
		{"the file of another artifact", "PUT", dir + "gadget-1.0.jar", "jar", model.CodePackageMismatch},
		{"a page as a checksum", "PUT", dir + "widget-1.0.jar.sha1", "<html>", model.CodeMalformedUpload},
		{"the index of plugins", "PUT", "/com/example/widget/maven-metadata.xml", "<metadata><plugins/></metadata>", model.CodeMalformedUpload},
		{"properties", "PUT", dir + "widget-1.0.jar;x=y", "jar", model.CodeAmbiguousPath},
		{"an escape", "PUT", dir + "widget%2D1.0.jar", "jar", model.CodeAmbiguousPath},
		{"a query", "PUT", dir + "widget-1.0.jar?x=y", "jar", model.CodeMalformedUpload},
		{"a deletion", "DELETE", dir + "widget-1.0.jar", "", model.CodeUnsupportedOperation},
		{"a copy", "COPY", dir + "widget-1.0.jar", "", model.CodeUnsupportedOperation},
		{"a folder", "MKCOL", "/com/evil/", "", model.CodeUnsupportedOperation},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				a := r.send(t, tc.method, tc.path, basic(r.identity(nil)), []byte(tc.body))
				if a.code() != string(tc.code) {
					t.Errorf("got %d %q, expected %s\n%s", a.Status, a.code(), tc.code, a.Body)
				}
			})
		})
	}
	t.Run("a cut file", func(t *testing.T) {
		r.unchanged(t, func() {
			conn, err := tls.Dial("tcp", r.site.Host(), r.tls())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "PUT %swidget-1.0.jar HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\nAuthorization: %s\r\n\r\n%s",
				dir, r.site.Host(), basic(r.identity(nil)).Get("Authorization"), strings.Repeat("x", 999))
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, conn) // until the gateway has ended it
			r.await(t, "end of the cut upload", func(e model.Event) bool { return e.Kind == model.EventOutcome || e.Code == model.CodeTruncated })
		})
	})
	t.Run("a whole release by hand", func(t *testing.T) {
		token, want := r.identity(nil), r.files()
		for path, body := range map[string]string{
			dir + "widget-1.0.jar": "jar", dir + "widget-1.0.pom": pom("widget"), dir + "widget-1.0.jar.sha1": strings.Repeat("a", 40),
		} {
			if a := r.send(t, http.MethodPut, path, basic(token), []byte(body)); a.Status != http.StatusCreated {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
			sum := sha256.Sum256([]byte(body))
			want[strings.TrimPrefix(path, "/")] = hex.EncodeToString(sum[:])
		}
		if diff := cmp.Diff(want, r.files()); diff != "" {
			t.Error(diff)
		}
		refused(t, r.send(t, http.MethodPut, dir+"widget-1.0.jar", basic(token), []byte("evil")), http.StatusConflict, model.CodeAlreadyExists)
	})
}

// TestMavenOverwrite: what a policy lets be replaced is replaced, and the audit says so.
func TestMavenOverwrite(t *testing.T) {
	t.Parallel()
	policy := strings.Replace(mavenPolicy, "    publisher:", "    actions: [publish, overwrite]\n    publisher:", 1)
	r := mavenRig(t, withPolicy("widget.yaml", policy))
	const path = "com/example/widget/1.0/widget-1.0.jar"
	for _, body := range []string{"first", "second"} {
		if a := r.send(t, http.MethodPut, "/"+path, basic(r.identity(nil)), []byte(body)); a.Status/100 != 2 {
			t.Fatalf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	sum := sha256.Sum256([]byte("second"))
	if diff := cmp.Diff(map[string]string{path: hex.EncodeToString(sum[:])}, r.files()); diff != "" {
		t.Error(diff)
	}
	r.await(t, "decision of the overwrite", func(e model.Event) bool {
		return e.Kind == model.EventDecision && e.Decision == "allow" && e.Target != nil && e.Target.Action == model.ActionOverwrite
	})
}

// TestMavenGradle puts what Gradle's maven-publish sends of a signed release: metadata of its own, and four checksums of each file; and a
// pom in ISO-8859-1.
func TestMavenGradle(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *rig{
		"webdav": func(t *testing.T) *rig { return mavenRig(t) },
		"gitea":  func(t *testing.T) *rig { return giteaRig(t, "maven", mavenPolicy) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			const dir = "com/example/widget/1.0/widget-1.0"
			pom := `<?xml version="1.0" encoding="ISO-8859-1"?><project><groupId>com.example</groupId><artifactId>widget</artifactId>` +
				"<version>1.0</version><developers><developer><name>M\xfcller</name></developer></developers></project>"
			module := `{"formatVersion":"1.1","component":{"group":"com.example","module":"widget","version":"1.0"},"variants":[]}`
			token, stored := r.identity(nil), map[string]bool{}
			put := func(token, path, body string) answer {
				stored[path] = true
				return r.send(t, http.MethodPut, r.reg.Path+path, basic(token), []byte(body))
			}
			for file, body := range map[string]string{
				".jar": "jar", ".pom": pom, ".module": module, "-sources.jar": "sources",
				".jar.asc": "a signature", ".pom.asc": "a signature of the pom", ".module.asc": "a signature of the module",
			} {
				for _, f := range []struct{ suffix, body string }{
					{"", body},
					{".md5", fmt.Sprintf("%x", md5.Sum([]byte(body)))},
					{".sha1", fmt.Sprintf("%x", sha1.Sum([]byte(body)))},
					{".sha256", fmt.Sprintf("%x", sha256.Sum256([]byte(body)))},
					{".sha512", fmt.Sprintf("%x", sha512.Sum512([]byte(body)))},
				} {
					if a := put(token, dir+file+f.suffix, f.body); a.Status/100 != 2 {
						t.Errorf("%s%s: %d %s", file, f.suffix, a.Status, a.Body)
					}
				}
			}
			if held := r.paths(); name == "webdav" && len(held) != len(stored) || len(held) < 7 {
				t.Errorf("the store holds %v", held)
			}
			r.unchanged(t, func() {
				refused(t, put(r.identity(nil), dir+".module", module+"\n"), http.StatusConflict, model.CodeAlreadyExists)
				a := put(r.identity(nil), strings.ReplaceAll(dir, "1.0", "2.0")+".pom", strings.NewReplacer("ISO-8859-1", "windows-1252", "1.0<", "2.0<").Replace(pom))
				refused(t, a, http.StatusBadRequest, model.CodeMalformedUpload)
				if !strings.Contains(a.Body, "write the document in UTF-8") {
					t.Errorf("the refusal does not say what to do: %s", a.Body)
				}
				refused(t, put(r.identity(nil), "com/example/gadget/1.0/gadget-1.0.module", module), http.StatusForbidden, model.CodeNoMatchingPolicy)
			})
		})
	}
}
