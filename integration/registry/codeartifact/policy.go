package codeartifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxPolicy is what STS takes for the policy of a session, in characters.
const maxPolicy = 2048

// Statement is one of a policy of IAM, as far as the tests need it.
type Statement struct {
	Effect    string                       `json:"Effect"`
	Action    List                         `json:"Action"`
	Resource  List                         `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

// List is a string or several.
type List []string

// UnmarshalJSON reads either.
func (l *List) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = List{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// parsePolicy reads a session's policy; an element that is not known here is refused, not passed over.
func parsePolicy(text string) ([]Statement, error) {
	if text == "" || len(text) > maxPolicy {
		return nil, fmt.Errorf("a policy of %d characters", len(text))
	}
	var document struct {
		Version   string      `json:"Version"`
		Statement []Statement `json:"Statement"`
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&document); err != nil {
		return nil, err
	}
	if document.Version != "2012-10-17" || len(document.Statement) == 0 {
		return nil, errors.New("no policy of 2012-10-17 with statements")
	}
	for _, st := range document.Statement {
		if st.Effect != "Allow" || len(st.Action) == 0 || len(st.Resource) == 0 {
			return nil, errors.New("a statement without Allow, Action or Resource")
		}
		for operator := range st.Condition {
			if operator != "StringEquals" {
				return nil, fmt.Errorf("condition %s", operator)
			}
		}
	}
	return document.Statement, nil
}

// allows is IAM's own rule: nothing is allowed but what a statement allows whose action, resource and conditions all match.
func allows(policy []Statement, action, resource string, context map[string]string) bool {
	for _, st := range policy {
		if matchesAny(st.Action, action) && matchesAny(st.Resource, resource) && met(st.Condition["StringEquals"], context) {
			return true
		}
	}
	return false
}

func met(conditions, context map[string]string) bool {
	for key, want := range conditions {
		if have, present := context[key]; !present || have != want {
			return false
		}
	}
	return true
}

func matchesAny(patterns List, text string) bool {
	for _, p := range patterns {
		quoted := regexp.QuoteMeta(p)
		quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, ".*"), `\?`, ".")
		if regexp.MustCompile("^" + quoted + "$").MatchString(text) {
			return true
		}
	}
	return false
}
