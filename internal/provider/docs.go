package provider

import (
	"errors"
	"fmt"
	"strings"
)

// Docs are what the page of a provider shows beside its facts.
type Docs struct {
	// Issuer are the lines of the Caddyfile that configure an issuer, Registry further lines of a registry.
	Issuer   []string `yaml:"issuer"`
	Registry []string `yaml:"registry"`
	// Setup says, in Markdown, what to do on the platform first.
	Setup string `yaml:"setup"`
	// Jobs are what a job runs, the shortest way first. {exec} stands for `trustpub exec` and the upload, {exec FLAGS} for the same with
	// flags; a line {publish} for the exchange of $ID_TOKEN and the upload by hand, which comes last.
	Jobs []Snippet `yaml:"jobs"`
	// Policy is a whole policy file that the sample satisfies for the package acme-widget 1.
	Policy string `yaml:"policy"`
	// Notes are what one has to know, in Markdown, one paragraph each.
	Notes []string `yaml:"notes"`
}

// Snippet is an example in some language.
type Snippet struct {
	Title    string `yaml:"title"`
	Language string `yaml:"language"`
	Text     string `yaml:"text"`
}

// check asks for what no page can do without; files in tests have no docs at all.
func (d *Docs) check() error {
	if len(d.Issuer) == 0 && len(d.Jobs) == 0 && d.Policy == "" {
		return nil
	}
	if len(d.Issuer) == 0 || len(d.Jobs) == 0 || d.Policy == "" || d.Setup == "" {
		return errors.New("docs must have issuer, setup, jobs and policy")
	}
	for i, job := range d.Jobs {
		if job.Title == "" || job.Language == "" || strings.TrimSpace(job.Text) == "" {
			return fmt.Errorf("docs.jobs[%d] must have title, language and text", i)
		}
	}
	return nil
}
