package model_test

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

func TestCargoNames(t *testing.T) {
	for name, want := range map[string]string{
		"acme-widget": "acme-widget", "Acme_Widget": "acme_widget", "a": "a", strings.Repeat("a", 64): strings.Repeat("a", 64),
		"": "", "1a": "", "-a": "", "_a": "", "a.b": "", "a/b": "", "a b": "", "\u00e9": "", "a\u017f": "", strings.Repeat("a", 65): "",
	} {
		if got, err := model.NormalizeName("cargo", name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", name, got, err)
		}
	}
	if got, folds := model.FoldName("cargo", "a_b-c"); got != "a-b-c" || !folds {
		t.Errorf("folded: %q", got)
	}
	if got, folds := model.FoldName("npm", "a_b-c"); got != "a_b-c" || folds {
		t.Errorf("npm folds: %q", got)
	}
}
