package grants

import "testing"

// TestCommaInValue: a value with a comma is not the list of its parts.
func TestCommaInValue(t *testing.T) {
	const text = `policies:
  - name: p
    issuer: github
    registry: one
    packages: [x]
    publisher:
      github:
        repository: a/x
        repository_owner_id: "1"
        environment: `
	r := Diff(load(t, text+`"prod, dev"`+"\n"), load(t, text+`[prod, dev]`+"\n"))
	if !r.Widening {
		t.Errorf("an environment became two others, and the report says that nothing widens: %+v", r)
	}
}
