package policies

// policyField is one field of a policy.
type policyField struct {
	// name is the word in a file, about one or two sentences for editors.
	name, about string
	required    bool
	// schema describes the values that the field takes.
	schema func() schemaNode
}

// policyTable are the fields of a policy, in the order in which docs/policies.md explains them and files are formatted.
var policyTable = []policyField{
	{"name", "The policy's own name, unique among all files. Decisions, denials and the audit show it.", true, schemaName},
	{"registry", "The configured registry or registries that the policy is for.", true, schemaTexts},
	{"packages", "Package names, patterns (a * stands for any text without / and :) and templates such as {claims.repository_name}.", true, schemaTexts},
	{"actions", "What is granted; [publish] where nothing is said. Whoever may publish may also read.", false, schemaActions},
	{"issuer", "The configured name of the issuer; needed where the provider has several.", false, schemaText},
	{"publisher", "Whose runs: one provider, and what its tokens must say.", true, schemaPublisher},
	{"events", "What may start the run beside the provider's own list.", false, schemaTexts},
	{"tag", "The git tag that started the run, without refs/tags/; {version} and {package} stand for what is published.", false, schemaText},
	{"when", "A condition in CEL over claims, target.package, target.version, target.registry, target.action and request.time.", false, schemaWhen},
	{"not_before", "The first day (UTC), or the moment from which the policy grants.", false, schemaMoment},
	{"not_after", "The last day (UTC), or the moment from which the policy grants nothing any more.", false, schemaMoment},
	{"new_packages", "Whether first publishes of packages are granted that only a pattern or a template covers; false where nothing is said.", false, schemaNewPackages},
	{"exclusive", "Whether nothing else publishes these packages in the registry's mode claimed; true where nothing is said.", false, schemaBool},
	{"allow_unpinned", "Do without the repository or without a stable id.", false, schemaBool},
	{"allow_any_package", "Accept a pattern that covers every package.", false, schemaBool},
}

// policyFields are the names of all fields, requiredFields of those without which a policy means nothing.
var policyFields, requiredFields = policyFieldNames()

func policyFieldNames() (all, required []string) {
	for _, f := range policyTable {
		all = append(all, f.name)
		if f.required {
			required = append(required, f.name)
		}
	}
	return all, required
}
