package codeartifact

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// FuzzPolicy: whatever a package is called, its session's policy names one package, without a wildcard, or there is none.
func FuzzPolicy(f *testing.F) {
	for _, name := range []string{"widget", "@acme/widget", "com.acme:widget", "*", "${aws:username}", "a/b", `","Resource":"*`, "", "@/", ":", "a:b:c", "\x00"} {
		for ecosystem := range formats {
			f.Add(ecosystem, name)
		}
	}
	f.Fuzz(func(t *testing.T, ecosystem, name string) {
		if formats[ecosystem] == "" {
			return
		}
		c := config("https://aws.example.com")
		s := &source{Config: *c, registry: "internal", ecosystem: ecosystem, format: formats[ecosystem], partition: "aws"}
		s.Repository = "releases"
		text, err := s.policy([]model.Target{publish(ecosystem, name)})
		if err != nil {
			return
		}
		var d document
		if err := json.Unmarshal([]byte(text), &d); err != nil || len(d.Statement) != 4 {
			t.Fatalf("got %s (%v), expected a policy of four statements", text, err)
		}
		resource := d.Statement[3].Resource[0]
		if len(d.Statement[3].Resource) != 1 || strings.ContainsAny(resource, "*?${}") || strings.Count(resource, "/") != 5 ||
			!strings.HasPrefix(resource, "arn:aws:codeartifact:eu-central-1:111122223333:package/acme/releases/"+s.format+"/") {
			t.Errorf("%s %q: got resource %q, expected one package", ecosystem, name, resource)
		}
	})
}

// FuzzAssumed: an answer of STS that is taken has one of each, which a header can carry.
func FuzzAssumed(f *testing.F) {
	f.Add([]byte("<html></html>"))
	f.Add([]byte(`<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA12345678</AccessKeyId><SecretAccessKey>secret-12345</SecretAccessKey>` +
		`<SessionToken>session-1234</SessionToken></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var a assumed
		if a.check(answer) != nil {
			return
		}
		c := a.Credentials[0]
		for _, value := range []string{c.AccessKeyID[0], c.SecretAccessKey[0], c.SessionToken[0]} {
			if err := mintapi.CheckSecret("value", value); err != nil {
				t.Errorf("%q was taken: %v", value, err)
			}
		}
		new(source).refusedBySTS(400, answer)
	})
}
