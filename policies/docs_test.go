package policies

import (
	"os"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/provider"
)

const docsPage = "../docs/policies.md"

func readDocs(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Every example of the documentation is a whole file that loads.
func TestDocumentedExamplesLoad(t *testing.T) {
	blocks := strings.Split(readDocs(t), "```yaml\n")[1:]
	if len(blocks) < len(policyFields) {
		t.Errorf("%d examples, expected one for each of %d fields at least", len(blocks), len(policyFields))
	}
	shown := ""
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		shown += block
		if _, err := loadText(t, block, testEnv()); err != nil {
			t.Errorf("%v\n%s", err, block)
		}
	}
	for _, field := range policyFields {
		if !strings.Contains(shown, " "+field+":") {
			t.Errorf("no example has the field %s", field)
		}
	}
}

// Every field of a policy has a section, and every provider a line that leads to its fields.
func TestDocumentationIsComplete(t *testing.T) {
	docs := readDocs(t)
	for _, field := range policyFields {
		if !strings.Contains(docs, "\n### "+field+"\n") || !strings.Contains(docs, "| [`"+field+"`](#"+field+") |") {
			t.Errorf("the field %s has no section or no line in the table", field)
		}
	}
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		if link := "| [`" + name + "`](issuers/" + name + ".md) | " + p.Title + " |"; !strings.Contains(docs, link) {
			t.Errorf("the provider %s has no line %q; its fields are on that page, which its data generates", name, link)
		}
	}
}
