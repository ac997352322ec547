package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/provider"
)

// publish is what {publish} in a job's snippet stands for.
var publish = []string{
	`TOKEN=$(curl -fsS https://pypi.example.com/_/oidc/mint-token -d '{"token":"'"$ID_TOKEN"'"}' | jq -r .token)`,
	`TWINE_USERNAME=__token__ TWINE_PASSWORD=$TOKEN twine upload --repository-url https://pypi.example.com/publisher/prod/ dist/*`,
}

// withExec begins the section about publishing, withoutExec what follows of it.
const (
	withExec = "[`trustpub exec`](../clients/exec.md) asks for the identity token, exchanges it, hands the publish token to the client, here twine, and revokes it at the end. The program " +
		"must be on the job's PATH; [ready pieces](../ci/publish/README.md) bring it.\n"
	withoutExec = "What `trustpub exec` does, with curl, for a job that can't have it. Nobody renews, masks or revokes the token here.\n"
)

// exec is {exec} in a snippet, with flags where the job needs some.
var exec = regexp.MustCompile(`\{exec( [^}]*)?\}`)

// byHand is true for a snippet without trustpub exec.
func byHand(job provider.Snippet) bool { return strings.Contains(job.Text, "{publish}") }

// page renders the documentation of a provider from its data.
func page(p *provider.Provider) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Written by go test ./internal/provider -update from internal/provider/data/%s.yaml. -->\n\n# %s\n\n", p.Name, p.Title)
	fmt.Fprintf(&b, "The provider `%s`. All issuers and what is checked of a token: [issuers](../issuers.md). All fields of a policy: [policies](../policies.md).\n\n", p.Name)
	b.WriteString("## Configure\n\n```caddyfile\n{\n\ttrusted_publishing {\n\t\tpolicies policies\n")
	for _, line := range p.Docs.Issuer {
		fmt.Fprintf(&b, "\t\t%s\n", line)
	}
	b.WriteString("\t}\n}\n```\n\n")
	if len(p.Docs.Registry) > 0 {
		b.WriteString("And in the registry:\n\n```caddyfile\n" + strings.Join(p.Docs.Registry, "\n") + "\n```\n\n")
	}
	b.WriteString(p.Docs.Setup + "\n")
	b.WriteString("## Publish\n\n" + withExec)
	hands := false
	for _, job := range p.Docs.Jobs {
		if !hands && byHand(job) {
			hands = true
			b.WriteString("\n### By hand\n\n" + withoutExec)
		}
		fmt.Fprintf(&b, "\n%s:\n\n```%s\n%s```\n", job.Title, job.Language, expand(job.Text))
	}
	b.WriteString("\n## A policy\n\n```yaml\n" + p.Docs.Policy + "```\n\n")
	writeFields(&b, p)
	writeFacts(&b, p)
	writeSample(&b, p)
	if len(p.Docs.Notes) > 0 {
		b.WriteString("## Good to know\n\n")
		for _, note := range p.Docs.Notes {
			fmt.Fprintf(&b, "- %s\n", note)
		}
		b.WriteString("\n")
	}
	b.WriteString("## Sources\n\n")
	for _, source := range append([]string{p.Source}, p.Sources...) {
		fmt.Fprintf(&b, "- <%s>\n", source)
	}
	return b.String()
}

// expand fills in {exec}, and {publish}, indented as its line is.
func expand(text string) string {
	text = exec.ReplaceAllString(text, "trustpub exec$1 --registry https://pypi.example.com/publisher/prod/ -- twine upload dist/*")
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "{publish}" {
			b.WriteString(line)
			continue
		}
		indent := line[:strings.Index(line, "{")]
		for _, one := range publish {
			b.WriteString(indent + one + "\n")
		}
	}
	return b.String()
}

// writeFields writes what a policy's publisher may ask for.
func writeFields(b *strings.Builder, p *provider.Provider) {
	b.WriteString("## Publisher fields\n\nWhat a policy may ask for below `publisher: " + p.Name + ":`.\n\n| field | claim | | |\n|---|---|---|---|\n")
	for _, f := range p.Fields {
		claims := []string{f.Claim}
		if f.Equals != nil {
			claims = slices.Clone(f.EqualClaims)
		}
		for i, name := range claims {
			claims[i] = keys(p.Claims[name].Path)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Name, strings.Join(claims, " and "), strings.Join(marks(f), ", "), cell(f.About))
	}
	if p.OpenClaims {
		b.WriteString("| `claims` | each by its own key or path | exact text | |\n")
	}
	b.WriteString("\n")
}

// marks say what a field is beyond its claim.
func marks(f *provider.Field) []string {
	var all []string
	if f.Needed {
		all = append(all, "**needed**")
	}
	if f.Stable != "" {
		all = append(all, fmt.Sprintf("stable id of the %s", f.Stable))
	}
	if f.Names != "" {
		all = append(all, fmt.Sprintf("names the %s", f.Names))
	}
	if f.Glob {
		all = append(all, "pattern")
	}
	return all
}

// keys show where a claim lies. Keys are quoted one by one where there are several, so that a dot in a key is no step.
func keys(path []string) string {
	if len(path) == 1 {
		return "`" + path[0] + "`"
	}
	quoted := make([]string, len(path))
	for i, key := range path {
		quoted[i] = "`" + key + "`"
	}
	return strings.Join(quoted, " › ")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// writeFacts writes the platform's tokens.
func writeFacts(b *strings.Builder, p *provider.Provider) {
	b.WriteString("## Tokens\n\n| | |\n|---|---|\n")
	issuers := slices.Clone(p.Issuer.Forms)
	if p.Issuer.Default != "" {
		issuers = append([]string{p.Issuer.Default}, issuers...)
	}
	for i, form := range issuers {
		issuers[i] = "`" + form + "`"
	}
	fmt.Fprintf(b, "| issuer URLs | %s |\n", strings.Join(issuers, "<br>"))
	aud := "chosen by the job"
	if p.Audience != "" {
		aud = "always `" + p.Audience + "`, so the registry needs the line `audience`"
	}
	if p.AudienceArray {
		aud += "; may be a list, which must hold one"
	}
	fmt.Fprintf(b, "| audience | %s |\n", aud)
	fmt.Fprintf(b, "| used once by | %s |\n", map[provider.Presence]string{
		provider.Always: "`jti`", provider.Sometimes: "`jti`, or the token's digest where there is none", provider.Never: "the token's digest, since there is no `jti`",
	}[p.JTI])
	if p.Shared {
		b.WriteString("| shared | many jobs read one token: it publishes by exchange only, and each exchange may publish other versions |\n")
	}
	writeRun(b, p)
	b.WriteString("\n| claim | kind | | |\n|---|---|---|---|\n")
	names := make([]string, 0, len(p.Claims))
	for name := range p.Claims {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return slices.Compare(append(p.Claims[x].Path, x), append(p.Claims[y].Path, y)) })
	for _, name := range names {
		c := p.Claims[name]
		var notes []string
		if slices.Contains(p.Required, name) {
			notes = append(notes, "required")
		}
		if c.Template {
			notes = append(notes, "may name packages: `{claims."+name+"}`")
		}
		where := keys(c.Path)
		if c.After != "" {
			where += " after the last `" + c.After + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", where, strings.ReplaceAll(string(c.Kind), "_", " in a "), cell(c.About), strings.Join(notes, "; "))
	}
	b.WriteString("\n")
}

// writeSample writes what a token says, beside iss, aud and its times.
func writeSample(b *strings.Builder, p *provider.Provider) {
	text, err := json.MarshalIndent(p.Sample, "", "  ")
	if err != nil {
		panic(err) // what came out of YAML can be written as JSON
	}
	fmt.Fprintf(b, "A sample, without `iss`, `aud`, `iat`, `nbf` and `exp`:\n\n```json\n%s\n```\n\n", text)
}

// writeRun writes what starts a run.
func writeRun(b *strings.Builder, p *provider.Provider) {
	if t := p.Trigger; t != nil {
		var refused []string
		for _, event := range t.Known {
			if !t.Allows(event) {
				refused = append(refused, event)
			}
		}
		fmt.Fprintf(b, "| triggers | %s: allowed are %s; `events` may add %s |\n", keys(p.Claims[t.Claim].Path), list(t.Allowed), list(refused))
	} else {
		b.WriteString("| triggers | the tokens do not say what started a run |\n")
	}
	switch t := p.Tag; {
	case t == nil:
		b.WriteString("| `tag` in a policy | refused: the tokens name no tag |\n")
	case t.Chosen:
		b.WriteString("| `tag` in a policy | refused: whoever starts a run chooses it |\n")
	default:
		where := ""
		if len(t.Where) > 0 {
			for _, name := range slices.Sorted(maps.Keys(t.Where)) {
				where += fmt.Sprintf(", where `%s` is `%s`", name, t.Where[name])
			}
		}
		prefix := ""
		if t.Prefix != "" {
			prefix = " after `" + t.Prefix + "`"
		}
		fmt.Fprintf(b, "| `tag` in a policy | %s%s%s |\n", keys(p.Claims[t.Claim].Path), prefix, where)
	}
}

func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return "`" + strings.Join(words, "`, `") + "`"
}
