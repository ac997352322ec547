package policies

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// schemaNode is a part of a JSON Schema, draft 7, which is what editors' YAML plugins read.
type schemaNode map[string]any

// Schema is the JSON Schema of a policy file, with an end of line. It is what an editor completes and underlines by; the
// loader is stricter, since a schema knows neither registries nor issuers, and cannot say what pins a publisher.
func Schema() ([]byte, error) {
	properties := schemaNode{}
	for _, f := range policyTable {
		properties[f.name] = described(f.about, f.schema())
	}
	policy := object(properties, requiredFields)
	policy["allOf"] = schemaProviders()
	root := object(schemaNode{
		"policies": described("The policies of this file; an empty list is a file without policies.", schemaNode{"type": "array", "items": policy}),
	}, []string{"policies"})
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "trustpub policies"
	root["description"] = "Which publisher may do which actions on which packages of which registry."
	root["definitions"] = schemaNode{
		"text":  schemaText(),
		"exact": schemaNode{"type": "string", "minLength": 1, "maxLength": maxText, "pattern": `^[^*\n\t]+$`},
		"bool":  schemaNode{"enum": []string{"true", "false"}},
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("policies: schema: %w", err)
	}
	return b.Bytes(), nil
}

// object is a mapping with these keys and no others.
func object(properties schemaNode, required []string) schemaNode {
	n := schemaNode{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		n["required"] = required
	}
	return n
}

// described adds what editors show.
func described(about string, n schemaNode) schemaNode {
	n["description"] = about
	return n
}

// ref refers to a definition.
func ref(name string) schemaNode { return schemaNode{"$ref": "#/definitions/" + name} }

// oneOrMore takes a value or a list of values.
func oneOrMore(value schemaNode) schemaNode {
	return schemaNode{"anyOf": []schemaNode{
		value,
		{"type": "array", "items": value, "minItems": 1, "maxItems": maxList},
	}}
}

func schemaName() schemaNode {
	return schemaNode{"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}
}

func schemaText() schemaNode {
	return schemaNode{"type": "string", "minLength": 1, "maxLength": maxText, "pattern": `^[^\n\t]+$`}
}

func schemaTexts() schemaNode { return oneOrMore(ref("text")) }

func schemaActions() schemaNode { return oneOrMore(schemaNode{"enum": model.Actions()}) }

func schemaWhen() schemaNode {
	return schemaNode{"type": "string", "minLength": 1, "maxLength": maxWhen}
}

func schemaMoment() schemaNode {
	return schemaNode{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$`}
}

func schemaNewPackages() schemaNode {
	return schemaNode{"anyOf": []schemaNode{
		schemaBool(), object(schemaNode{"until": described("The last day (UTC), or the moment from which first publishes are refused again.", schemaMoment())}, []string{"until"}),
	}}
}

func schemaBool() schemaNode { return schemaNode{"type": "boolean"} }

// schemaPublisher has one key for each provider, and below it the fields of that provider's data.
func schemaPublisher() schemaNode {
	providers := schemaNode{}
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		providers[name] = described("A publisher of "+p.Title+".", schemaFields(p))
	}
	n := object(providers, nil)
	n["minProperties"], n["maxProperties"] = 1, 1
	return n
}

// schemaFields are what a publisher of a provider may ask for.
func schemaFields(p *provider.Provider) schemaNode {
	properties := schemaNode{}
	var needed []string
	for _, f := range p.Fields {
		value := ref("exact")
		switch {
		case f.Kind == provider.Bool || f.Kind == provider.BoolString:
			value = ref("bool")
		case f.Glob:
			value = ref("text")
		}
		properties[f.Name] = described(f.About, oneOrMore(value))
		if f.Needed {
			needed = append(needed, f.Name)
		}
	}
	if p.OpenClaims {
		claims := schemaNode{"type": "object", "minProperties": 1, "additionalProperties": oneOrMore(ref("exact"))}
		properties[openClaims] = described("Any claim by its own name, compared exactly.", claims)
	}
	n := object(properties, needed)
	n["minProperties"] = 1
	return n
}

// schemaProviders are the fields of a policy that depend on its publisher's provider: the events that the platform knows, and
// whether there is a tag that a policy can ask for.
func schemaProviders() []schemaNode {
	var list []schemaNode
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		properties := schemaNode{}
		if p.Trigger == nil {
			properties["events"] = false
		} else {
			properties["events"] = oneOrMore(schemaNode{"enum": p.Trigger.Known})
		}
		if p.Tag == nil || p.Tag.Chosen {
			properties["tag"] = false
		}
		list = append(list, schemaNode{
			"if":   schemaNode{"properties": schemaNode{"publisher": schemaNode{"required": []string{name}}}, "required": []string{"publisher"}},
			"then": schemaNode{"properties": properties},
		})
	}
	return list
}
