package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

// readAudit shows the audit lines of what happened, and checks that nothing is missing. Outcomes are written without waiting.
func (s *scenario) readAudit(ctx context.Context) (string, error) {
	var lines []byte
	var events []model.Event
	err := eventually(ctx, func() (err error) {
		if lines, err = os.ReadFile(s.audit); err != nil {
			return err
		}
		if events, err = parseEvents(lines); err != nil {
			return err
		}
		return s.checkEvents(events)
	})
	if err != nil {
		return "", err
	}
	s.showEvents(lines, events)
	return fmt.Sprintf("%d lines, every decision and its outcome", len(events)), nil
}

// settleTime is how long something may take that follows an answer without being waited for, settlePoll how often to look.
const (
	settleTime = 20 * time.Second
	settlePoll = 20 * time.Millisecond
)

// eventually looks until something holds, or gives the last reason why it does not.
func eventually(ctx context.Context, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	ticker := time.NewTicker(settlePoll)
	defer ticker.Stop()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func parseEvents(b []byte) ([]model.Event, error) {
	var events []model.Event
	for line := range bytes.Lines(b) {
		var e model.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d of the audit: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// checkEvents looks for the outcome of each decision, for the stored file, and for each refusal in its order.
func (s *scenario) checkEvents(events []model.Event) error {
	want := script.SHA256(s.first.Data)
	stored := slices.ContainsFunc(events, func(e model.Event) bool {
		return e.Kind == model.EventOutcome && e.Result == "stored" && e.SHA256 == want
	})
	if !stored {
		return fmt.Errorf("the audit has no outcome \"stored\" for the file with sha256 %s", want)
	}
	var got []model.Code
	ended := map[string]bool{}
	for _, e := range slices.Backward(events) {
		switch e.Kind {
		case model.EventOutcome:
			ended[e.ID] = true
		case model.EventDecision, model.EventExchange, model.EventRevocation:
			if !ended[e.ID] {
				return fmt.Errorf("the audit has no outcome of the event %s", e.ID)
			}
		}
	}
	for _, e := range events {
		if e.Kind == model.EventDecision && e.Decision == "deny" {
			got = append(got, e.Code)
		}
	}
	if !slices.Equal(got, s.refused) {
		return fmt.Errorf("the audit has the refusals %v, expected %v", got, s.refused)
	}
	return nil
}

// showEvents prints one short line for each event, and the whole line of the publish.
func (s *scenario) showEvents(raw []byte, events []model.Event) {
	for _, e := range events {
		s.p.quote(shortEvent(e))
	}
	lines := bytes.Split(raw, []byte("\n"))
	for i, e := range events {
		if e.Kind == model.EventDecision && e.Decision == "allow" && e.SHA256 == script.SHA256(s.first.Data) {
			s.p.quote("", "The whole line of the publish:", string(lines[i]))
			return
		}
	}
}

// shortEvent is one event in a line.
func shortEvent(e model.Event) string {
	words := []string{e.Time.Format("15:04:05"), fmt.Sprintf("%-10s", e.Kind)}
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+value)
		}
	}
	add("", e.Decision)
	add("", e.Result)
	add("", string(e.Code))
	if e.Target != nil {
		add("", strings.TrimSpace(e.Target.Package+" "+e.Target.Version))
	}
	add("policy=", e.Policy)
	add("by=", e.Run["repository"])
	add("with=", e.Credential)
	add("event=", e.ID)
	return strings.Join(words, " ")
}
