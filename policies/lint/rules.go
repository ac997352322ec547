package lint

// Rule is one thing that lint looks for.
type Rule struct {
	// Code is the rule's stable code, in lower case with "_".
	Code     string
	Severity Severity
	// Title is what the rule finds, in a few words.
	Title string
	// Why is the incident or reason behind the rule, as Markdown.
	Why string
	// Fix says what to do.
	Fix string

	// fixed rules cannot be ignored.
	fixed bool
	check func(*pass)
}

// Rules lists all rules in the order of docs/lint.md.
func Rules() []Rule { return append([]Rule(nil), rules...) }

// The codes that the machinery itself uses.
const (
	codeLoad          = "load_error"
	codeIgnoreInvalid = "ignore_invalid"
	codeIgnoreUnused  = "ignore_unused"
)

var rules []Rule

// The rules name each other's codes by way of ignore comments, so the list is put together once at the start.
func init() {
	rules = append(rules, publisherRules...)
	rules = append(rules, runRules...)
	rules = append(rules, setRules...)
	rules = append(rules, fileRules...)
}

var fileRules = []Rule{
	{
		Code: "secret", Severity: Error, Title: "a secret is pasted in", check: secrets,
		Why: "Policies are read by many people and lie in git for good. Trusted publishing needs no secret in CI at all; a token that was left " +
			"over is what the second wave at Ultralytics (December 2024) was published with, and what GhostAction (September 2025) collected.",
		Fix: "revoke it where it came from, since it is known now, and take it out of the file's history",
	},
	{
		Code: codeLoad, Severity: Error, Title: "the file does not load", fixed: true,
		Why: "The gateway refuses what could be read in another way than it was meant, and keeps the file's last good version. The same errors are " +
			"what `trustpub policy check` says.",
		Fix: "correct what the message names; docs/policies.md has every field",
	},
	{
		Code: codeIgnoreInvalid, Severity: Warning, Title: "a comment that is meant to ignore a finding does not", fixed: true,
		Why: "An ignored finding is a decision, and the next reader needs to know why it was taken.",
		Fix: "write # trustpub:ignore CODE reason",
	},
	{
		Code: codeIgnoreUnused, Severity: Note, Title: "a comment ignores nothing", fixed: true,
		Why: "A comment that outlived its finding would hide the next one.",
		Fix: "remove the comment",
	},
}
