package model_test

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

func TestHexNames(t *testing.T) {
	for name, want := range map[string]string{
		"widget": "widget", "acme_widget2": "acme_widget2", "hexpm/widget": "widget", "acme/widget": "acme/widget", "acme-1.x_y/widget": "acme-1.x_y/widget",
		strings.Repeat("a", 128): strings.Repeat("a", 128),
		"":                       "", "w": "", "Widget": "", "2widget": "", "_widget": "", "acme-widget": "", "acme.widget": "", "widget\n": "", "w\u0131dget": "",
		"/widget": "", "acme/": "", "acme/x/widget": "", "Acme/widget": "", "../widget": "", ".acme/widget": "", "-acme/widget": "", strings.Repeat("a", 129): "",
		strings.Repeat("a", 129) + "/widget": "",
	} {
		if got, err := model.NormalizeName("hex", name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}

func TestHexVersions(t *testing.T) {
	for version, good := range map[string]bool{
		"1.0.0": true, "0.1.0-rc.1": true, "1.0.0+build": true,
		"1.0": false, "v1.0.0": false, "01.0.0": false, "1.0.0-": false, "1.0.0/x": false, "": false,
	} {
		if got, err := model.NormalizeVersion("hex", version); (err == nil) != good || good && got != version {
			t.Errorf("%q: got %q, %v", version, got, err)
		}
	}
}

func TestHexFiles(t *testing.T) {
	if got := model.HexFile("acme/widget", "1.0.0") + " " + model.HexDocs("widget", "1.0.0"); got != "widget-1.0.0.tar widget-1.0.0-docs.tar.gz" {
		t.Errorf("got %s", got)
	}
}

func FuzzHexName(f *testing.F) {
	f.Add("acme/widget")
	f.Add("hexpm/widget")
	f.Fuzz(func(t *testing.T, name string) {
		canonical, err := model.NormalizeName("hex", name)
		if err != nil {
			return
		}
		if again, err := model.NormalizeName("hex", canonical); err != nil || again != canonical {
			t.Errorf("%q gives %q, which gives %q, %v", name, canonical, again, err)
		}
		if strings.Count(canonical, "/") > 1 || strings.HasPrefix(canonical, "hexpm/") {
			t.Errorf("%q gives %q", name, canonical)
		}
	})
}
