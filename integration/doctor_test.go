package integration

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/redisserver"
	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// subject is a gateway's configuration that the doctor looks at, whole as long as nobody breaks it.
type subject struct {
	t   *testing.T
	dir string
	reg *registry.Registry
	own *issuer.Server
	// caddyfile and env are what the doctor is given, args its further flags.
	caddyfile string
	env       []string
	args      []string
}

// healthy is a Caddyfile of which nothing is to be said. Its issuer's URL comes from the environment, its site from a snippet and a format from a file, as
// "caddy run" would see them.
const healthy = `{
	admin 127.0.0.1:2019
	storage file_system {$STORAGE}
	trusted_publishing {
		policies ./policies
		audit ./audit.jsonl
		issuer github {$ISSUER}
	}
	log default {
		import ./hidden.caddyfile
	}
}
(site) {
	log {
		output file ./access.log
		import ./hidden.caddyfile
	}
	trusted_publishing {
		registry internal-pypi pypi {args[0]} {
			{$CREDENTIAL}
		}
	}
	reverse_proxy {$UPSTREAM}
}
https://pypi.example.com {
	tls {$CHAIN} {$KEY}
	import site https://pypi.example.com{$PATH_OF_REGISTRY}
}
`

// hidden is the format of a log that it imports.
const hidden = `format filter {
	request>headers>X-Trustpub-Identity delete
	request>headers>X-Devpi-Auth delete
	request>headers>X-Nuget-Apikey delete
	request>headers>X-Jfrog-Art-Api delete
	request>headers>X-Api-Key delete
	request>headers>Private-Token delete
	request>headers>Job-Token delete
	request>headers>Deploy-Token delete
}
`

func newSubject(t *testing.T) *subject {
	t.Helper()
	p := &subject{t: t, dir: t.TempDir(), reg: newRegistry(t, "devpi"), own: newIssuer(t), caddyfile: healthy}
	if err := os.MkdirAll(filepath.Join(p.dir, "policies"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("policies/widget.yaml", widgetPolicy)
	p.write("hidden.caddyfile", hidden)
	secret := strings.TrimSuffix(strings.SplitAfter(p.reg.Credential, "{file.")[1], "}\n}")
	token, err := os.ReadFile(secret)
	if err != nil {
		t.Fatal(err)
	}
	p.write("devpi-token", string(token))
	p.caddyfile = strings.ReplaceAll(p.caddyfile, "{$CREDENTIAL}", strings.ReplaceAll(p.reg.Credential, secret, filepath.Join(p.dir, "devpi-token")))
	p.env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + p.dir, "STORAGE=" + filepath.Join(p.dir, "storage"), "ISSUER=" + p.own.URL(), "UPSTREAM=" + p.reg.Addr,
		"CHAIN=" + shared.pki.ChainFile, "KEY=" + shared.pki.KeyFile, "PATH_OF_REGISTRY=" + p.reg.Path,
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p.args = []string{"--direct", "internal-pypi=http://127.0.0.1:" + strconv.Itoa(port) + p.reg.Path}
	return p
}

func (p *subject) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// replace changes the Caddyfile, which must have the text.
func (p *subject) replace(old, by string) {
	p.t.Helper()
	if !strings.Contains(p.caddyfile, old) {
		p.t.Fatalf("the Caddyfile has no %q", old)
	}
	p.caddyfile = strings.Replace(p.caddyfile, old, by, 1)
}

// run is the doctor's output.
func (p *subject) run(program string, args ...string) client.Result {
	p.t.Helper()
	p.write("Caddyfile", p.caddyfile)
	cmd := exec.CommandContext(p.t.Context(), program, append(args, p.args...)...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	for _, secret := range p.reg.Secrets {
		if strings.Contains(string(out), secret) {
			p.t.Errorf("the doctor printed a secret:\n%s", out)
		}
	}
	return client.Result{Code: cmd.ProcessState.ExitCode(), Output: string(out)}
}

func (p *subject) doctor(args ...string) client.Result {
	return p.run(shared.program, append([]string{"trustpub", "doctor", "--config", "Caddyfile"}, args...)...)
}

// line is a line of the doctor's report.
type line struct{ Area, Subject, Status, Message, Help string }

// report reads the doctor's JSON and gives the lines of that status or worse.
func report(t *testing.T, r client.Result) (bad, all []line) {
	t.Helper()
	var got struct{ Findings []line }
	if err := json.Unmarshal([]byte(r.Output), &got); err != nil {
		t.Fatalf("%v: %s", err, r.Output)
	}
	for _, l := range got.Findings {
		if l.Status == "warn" || l.Status == "fail" {
			bad = append(bad, l)
			if l.Help == "" {
				t.Errorf("%s: %s: it does not say what to do", l.Area, l.Message)
			}
		}
	}
	return bad, got.Findings
}

// TestDoctorHealthy: of a gateway that is well each thing is looked at and said to be well; the whole output is a golden file, and it
// leaves nothing behind. The program without Caddy says the same, and so does the doctor of the adapted configuration.
func TestDoctorHealthy(t *testing.T) {
	t.Parallel()
	p := newSubject(t)
	got := p.doctor()
	golden(t, "doctor/healthy", got)
	var files []string
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(p.dir, path)
			files = append(files, name)
		}
		return err
	})
	if diff := cmp.Diff([]string{"Caddyfile", "devpi-token", "hidden.caddyfile", "policies/widget.yaml"}, files); diff != "" || err != nil {
		t.Errorf("files after the doctor (-want +got): %v\n%s", err, diff)
	}
	small, err := gateway.BuildCommand(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, p.run(small, "doctor", "--config", "Caddyfile", "--caddy", shared.program)); diff != "" {
		t.Errorf("the program without Caddy (-caddy +trustpub):\n%s", diff)
	}
	adapt := exec.CommandContext(t.Context(), shared.program, "adapt", "--config", "Caddyfile")
	adapt.Dir, adapt.Env = p.dir, p.env
	adapted, err := adapt.Output()
	if err != nil {
		t.Fatal(err)
	}
	p.write("adapted.json", string(adapted))
	if diff := cmp.Diff(got, p.run(shared.program, "trustpub", "doctor", "--config", "adapted.json")); diff != "" {
		t.Errorf("the adapted configuration (-Caddyfile +JSON):\n%s", diff)
	}
	p.args = nil
	golden(t, "doctor/offline", p.doctor("--offline"))
}

// TestDoctorFinds: one thing is broken, and one line says so, with what to do.
func TestDoctorFinds(t *testing.T) {
	t.Parallel()
	fail := func(area, subject, message string) line {
		return line{Area: area, Subject: subject, Status: "fail", Message: message}
	}
	warn := func(area, subject, message string) line {
		return line{Area: area, Subject: subject, Status: "warn", Message: message}
	}
	for _, tc := range []struct {
		name string
		harm func(*subject)
		want []line
	}{
		{"the issuer is down", func(p *subject) { p.own.Intercept(down) }, []line{fail("issuer", "github", "status 503, expected 200")}},
		{"the issuer's clock is ahead", func(p *subject) {
			p.own.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
				return false
			})
		}, []line{fail("issuer", "github", "ahead of this machine's, and tokens may be off by at most 30s")}},
		{"the issuer answers for another", func(p *subject) {
			p.own.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = w.Write([]byte(`{"issuer":"https://other.example.com"}`))
				return true
			})
		}, []line{fail("issuer", "github", `issuer is "https://other.example.com", expected`)}},
		{"the registry refuses the credential", func(p *subject) {
			token, _ := os.ReadFile(filepath.Join(p.dir, "devpi-token"))
			whole := strings.TrimSpace(string(token))
			p.write("devpi-token", whole[:len(whole)-8]+"AAAAAAAA")
		}, []line{fail("credential", "internal-pypi", "refuses what credential devpi makes: it answers 403 Forbidden")}},
		{"the secret is missing", func(p *subject) { _ = os.Remove(filepath.Join(p.dir, "devpi-token")) }, []line{
			fail("secret", "internal-pypi", "no such file"), fail("credential", "internal-pypi", "no such file"),
		}},
		{"everybody can read the secret", func(p *subject) { _ = os.Chmod(filepath.Join(p.dir, "devpi-token"), 0o644) }, []line{
			warn("secret", "internal-pypi", "by every user of this machine (mode 0644)"),
		}},
		{"the registry is away", func(p *subject) { p.env = append(p.env, "UPSTREAM=127.0.0.1:9") }, []line{fail("registry", "internal-pypi", "connection refused")}},
		{"the registry is open", func(p *subject) { p.args = []string{"--direct", "http://" + p.reg.Addr + p.reg.Path} }, []line{
			fail("around", "internal-pypi", "answers as the registry does (200 OK)"),
		}},
		{"another site leads there", func(p *subject) {
			p.caddyfile += "https://old.example.com {\n\ttls {$CHAIN} {$KEY}\n\treverse_proxy {$UPSTREAM}\n}\n"
		}, []line{fail("around", "", "the site old.example.com leads to")}},
		{"the storage can't be written", func(p *subject) {
			p.write("file", "")
			p.env = append(p.env, "STORAGE="+filepath.Join(p.dir, "file", "storage"))
		}, []line{
			fail("store", "local", "not a directory"), fail("store", "local", "not a directory"), fail("storage", "", "not a directory"),
			fail("tokens", "", "not a directory"),
		}},
		{"the audit can't be written", func(p *subject) { p.replace("./audit.jsonl", "./devpi-token/audit.jsonl") }, []line{
			fail("audit", "file", "not a directory"),
		}},
		{"the log shows a header", func(p *subject) {
			p.replace("output file ./access.log\n\t\timport ./hidden.caddyfile", "output file ./access.log")
		}, []line{
			fail("logs", "internal-pypi", "the log log0 shows X-Devpi-Auth, in which clients of this registry send credentials"),
		}},
		{"the log shows everything", func(p *subject) {
			p.replace("trusted_publishing {\n\t\tpolicies", "servers {\n\t\tlog_credentials\n\t}\n\ttrusted_publishing {\n\t\tpolicies")
		}, []line{
			fail("logs", "internal-pypi", "the log log0 shows Authorization, Cookie, Proxy-Authorization, in which"),
			warn("logs", "internal-pypi", "the log default shows Authorization, Cookie, Proxy-Authorization of requests that a registry does not answer"),
		}},
		{"redis is down", func(p *subject) { p.replace("audit ./audit.jsonl", "audit ./audit.jsonl\n\t\tstore redis 127.0.0.1:9") }, []line{
			fail("store", "redis", "the store cannot be reached"),
		}},
		{"mode observe is left on", func(p *subject) { p.replace("credential devpi", "mode observe\n\t\t\tcredential devpi") }, []line{
			warn("registry", "internal-pypi", "mode is observe"),
		}},
		{"tokens live for long", func(p *subject) {
			p.replace("audit ./audit.jsonl", "audit ./audit.jsonl\n\t\ttoken_lifetime 1h")
			p.replace("issuer github {$ISSUER}", "issuer github {$ISSUER} {\n\t\t\tmax_lifetime 12h\n\t\t}")
		}, []line{warn("issuer", "github", "max_lifetime is 12h"), warn("tokens", "", "token_lifetime is 1h")}},
		{"the admin API is open", func(p *subject) { p.replace("admin 127.0.0.1:2019", "admin 0.0.0.0:2019") }, []line{fail("admin", "", "listens on 0.0.0.0:2019")}},
		{"a policy with names only", func(p *subject) {
			p.write("policies/widget.yaml", strings.Replace(widgetPolicy, `repository_owner_id: "222"`, "environment: release", 1))
		}, []line{fail("policies", "", "widget.yaml")}},
		{"a policy of any branch", func(p *subject) {
			p.write("policies/widget.yaml", strings.Replace(widgetPolicy, "environment: release", "workflow: release.yml", 1))
		}, []line{fail("policies", "", "widget.yaml")}},
		{"it can't be read", func(p *subject) { p.caddyfile += "}" }, []line{fail("config", "", "it can't be read: ")}},
		{"Caddy would not start", func(p *subject) { p.replace("{$CHAIN} {$KEY}", "./absent.pem {$KEY}") }, []line{
			fail("config", "", "Caddy would not start with it: "),
		}},
		{"a deprecated setting", func(p *subject) {
			p.args = append(p.args, "--timeout", "3s") // devpi waits for more of what it takes for a request
			p.replace("reverse_proxy {$UPSTREAM}", "reverse_proxy {$UPSTREAM} {\n\t\ttransport http {\n\t\t\ttls_trusted_ca_certs {$CHAIN}\n\t\t}\n\t}")
		}, []line{warn("config", "", "'tls_trusted_ca_certs' field is deprecated"), fail("registry", "internal-pypi", "it does not answer: no answer in time")}},
		{"an ecosystem that nobody knows", func(p *subject) { p.replace("internal-pypi pypi", "internal-pypi conda") }, []line{
			fail("config", "", `unknown ecosystem "conda"`),
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newSubject(t)
			tc.harm(p)
			got := p.doctor("--json")
			bad, _ := report(t, got)
			code, warned := 0, p.doctor("--offline", "--fail-on", "warn")
			for i := range tc.want {
				if tc.want[i].Status == "fail" {
					code = 1
				}
				if i < len(bad) && strings.Contains(bad[i].Message, tc.want[i].Message) {
					tc.want[i].Message = bad[i].Message
				}
			}
			if diff := cmp.Diff(tc.want, bad, cmpopts.IgnoreFields(line{}, "Help")); diff != "" || got.Code != code {
				t.Errorf("exit code %d, expected %d; lines (-want +got):\n%s", got.Code, code, diff)
			}
			if code == 0 && warned.Code != 1 {
				t.Errorf("with --fail-on warn the exit code is %d, expected 1:\n%s", warned.Code, warned.Output)
			}
		})
	}
}

// TestDoctorSharedStore: the doctor's own claim shows that a server of Redis keeps claims.
func TestDoctorSharedStore(t *testing.T) {
	t.Parallel()
	server, err := redisserver.Start(t.Context(), redisserver.Options{Dir: t.TempDir(), Args: []string{"--requirepass", "canary-redis-4Hd"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	p := newSubject(t)
	p.reg.Secrets = append(p.reg.Secrets, "canary-redis-4Hd")
	p.write("redis-password", "canary-redis-4Hd\n")
	p.replace("audit ./audit.jsonl", "audit ./audit.jsonl\n\t\tnodes 2\n\t\tstore redis "+server.Addr()+" {\n\t\t\tpassword {file."+filepath.Join(p.dir, "redis-password")+"}\n\t\t}")
	bad, all := report(t, p.doctor("--json"))
	want := []line{{Area: "nodes", Status: "warn"}}
	if diff := cmp.Diff(want, bad, cmpopts.IgnoreFields(line{}, "Help", "Message")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	found := false
	for _, l := range all {
		found = found || l.Area == "store" && l.Status == "ok" && strings.HasSuffix(l.Message, "answers, keeps a claim and gives it to nobody else")
	}
	if !found {
		t.Errorf("no line says that the store keeps claims: %v", all)
	}
	p.write("redis-password", "canary-wrong-password\n")
	if bad, _ := report(t, p.doctor("--json")); len(bad) != 2 || bad[0].Area != "store" || !strings.Contains(bad[0].Message, "WRONGPASS") {
		t.Errorf("with a wrong password: %v", bad)
	}
}

// TestDoctorBesideTheGateway: a gateway that runs with the same files goes on as if nobody had looked.
func TestDoctorBesideTheGateway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "devpi")
	first, second := newWheel(t, "acme-widget", "1.0"), newWheel(t, "acme-widget", "1.1")
	ok(t, r.upload(t, bearer(r.identity(nil)), first.form()))
	// The last line about an upload is written after the answer has left.
	r.await(t, "outcome of the upload", func(e model.Event) bool { return e.Kind == model.EventOutcome && e.Result == "stored" })
	tree := func() map[string]int64 {
		sizes := map[string]int64{}
		err := filepath.WalkDir(r.gw.Dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".log") {
				info, err := d.Info()
				if err != nil {
					return err
				}
				sizes[path] = info.Size()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return sizes
	}
	before := tree()
	out, _ := r.gw.Command(t.Context(), "trustpub", "doctor", "--json", "--config", filepath.Join(r.gw.Dir, "Caddyfile"))
	_, all := report(t, client.Result{Output: out})
	inUse := false
	for _, l := range all {
		inUse = inUse || l.Area == "store" && l.Status == "ok" && strings.HasSuffix(l.Message, "is in use by a gateway that runs")
	}
	if !inUse {
		t.Errorf("the store of the gateway that runs: %v", all)
	}
	if diff := cmp.Diff(before, tree()); diff != "" {
		t.Errorf("the gateway's files (-before +after):\n%s", diff)
	}
	ok(t, r.upload(t, bearer(r.identity(nil)), second.form()))
	r.holds(t, first, second)
}
