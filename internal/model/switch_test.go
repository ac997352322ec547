package model

import (
	"strings"
	"testing"
	"time"
)

func TestSwitchCheck(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	good := Switch{Kind: SwitchKey, Value: "k1", Issuer: "github", Reason: "the key leaked", Until: now.Add(time.Hour)}
	for _, tc := range []struct {
		name   string
		change func(*Switch)
		want   string
	}{
		{"whole", func(*Switch) {}, ""},
		{"a package", func(s *Switch) { s.Kind, s.Value, s.Issuer = SwitchPackage, "internal-pypi/acme-widget", "" }, ""},
		{"unknown kind", func(s *Switch) { s.Kind = "user" }, `kind is "user", expected one of`},
		{"no value", func(s *Switch) { s.Value = "" }, "value is empty"},
		{"a package without a registry", func(s *Switch) { s.Kind, s.Value, s.Issuer = SwitchPackage, "acme-widget", "" }, "expected registry/package"},
		{"an issuer where none belongs", func(s *Switch) { s.Kind, s.Value = SwitchRegistry, "internal-pypi" }, `issuer is "github", expected none`},
		{"no reason", func(s *Switch) { s.Reason = " " }, "reason is empty"},
		{"over already", func(s *Switch) { s.Until = now }, "expected a time to come"},
		{"a line break", func(s *Switch) { s.Reason = "a\nb" }, "without control characters"},
		{"too long", func(s *Switch) { s.Value = strings.Repeat("x", 2000) }, "at most 1024 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := good
			tc.change(&s)
			err := s.Check(now)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, expected %q", err, tc.want)
			}
		})
	}
}
