package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

// edits are the steps that change the policy file while the gateway runs.
func (s *scenario) edits() []step {
	return []step{
		{"a broken edit changes nothing", s.brokenEdit},
		{"an edit acts", s.stricterEdit},
		{"explain the refusal", s.explainRefusal},
		{"the first policy again", s.firstPolicyAgain},
	}
}

// edit writes the policy file and waits until the audit tells of its load.
func (s *scenario) edit(ctx context.Context, text, result string) (model.Event, error) {
	before, err := s.policyLoads()
	if err != nil {
		return model.Event{}, err
	}
	if err := os.WriteFile(s.policy, []byte(text), 0o600); err != nil {
		return model.Event{}, err
	}
	var last model.Event
	err = eventually(ctx, func() error {
		loads, err := s.policyLoads()
		if err != nil {
			return err
		}
		if len(loads) == len(before) {
			return errors.New("the audit does not tell of the edit")
		}
		if last = loads[len(loads)-1]; last.Detail["result"] != result {
			return fmt.Errorf("the policies were loaded with the result %q, expected %q", last.Detail["result"], result)
		}
		return nil
	})
	return last, err
}

// policyLoads are the loads that the audit tells of. A line that is being written counts once it is whole.
func (s *scenario) policyLoads() ([]model.Event, error) {
	text, err := os.ReadFile(s.audit)
	if err != nil {
		return nil, err
	}
	all, err := parseEvents(text[:strings.LastIndexByte(string(text), '\n')+1])
	var loads []model.Event
	for _, e := range all {
		if e.Kind == model.EventPolicies {
			loads = append(loads, e)
		}
	}
	return loads, err
}

// brokenEdit writes a field that nobody knows.
func (s *scenario) brokenEdit(ctx context.Context) (string, error) {
	load, err := s.edit(ctx, strings.Replace(policyOf(s.script), "workflow:", "workflw:", 1), "failed")
	if err != nil {
		return "", err
	}
	if err := s.release(ctx, releaseJob, s.script.Package, script.SecondVersion); err != nil {
		return "", fmt.Errorf("the release job, by the last good version: %w", err)
	}
	for name, text := range load.Detail {
		if strings.HasPrefix(name, "error ") {
			s.p.quote(text)
		}
	}
	return "workflw is no field: it is reported, and by the last good version " + script.SecondVersion + " is published", nil
}

// stricterEdit asks for another environment than the release job's.
func (s *scenario) stricterEdit(ctx context.Context) (string, error) {
	if _, err := s.edit(ctx, strings.Replace(policyOf(s.script), "environment: release", "environment: production", 1), "ok"); err != nil {
		return "", err
	}
	err := s.release(ctx, releaseJob, s.script.Package, script.ThirdVersion)
	return s.expect(err, model.CodeNoMatchingPolicy, "environment: production, and the job's is release")
}

func (s *scenario) explainRefusal(ctx context.Context) (string, error) {
	identity, err := s.identityToken(ctx, releaseJob)
	if err != nil {
		return "", err
	}
	text, err := s.explain(ctx, identity, Question{
		Registry: registryName(s.script), Ecosystem: s.script.Ecosystem, Package: s.script.Package, Policies: s.policies,
	})
	if err != nil {
		return "", err
	}
	if !strings.Contains(text, "production") {
		return "", fmt.Errorf("the explanation does not name what differs:\n%s", text)
	}
	s.p.quote(strings.Split(strings.TrimRight(text, "\n"), "\n")...)
	return "trustpub policy explain, from the token and the policy files alone", nil
}

func (s *scenario) firstPolicyAgain(ctx context.Context) (string, error) {
	if _, err := s.edit(ctx, policyOf(s.script), "ok"); err != nil {
		return "", err
	}
	err := s.release(ctx, releaseJob, s.script.Package, script.ThirdVersion)
	return "the release job is welcome again, and publishes " + script.ThirdVersion, err
}
