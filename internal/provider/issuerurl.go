package provider

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// IssuerForms are the issuer URLs of a platform.
type IssuerForms struct {
	// Default is the well-known issuer that is meant when none is configured; empty where every installation has its own.
	Default string `yaml:"default"`
	// Forms are the others that an operator may configure. {host} stands for a host with or without port, {label} for one
	// label of a host name, {segment} for one path segment and {path} for one or more; a final slash is part of the URL.
	Forms []string `yaml:"forms"`

	matchers []*regexp.Regexp
}

// The placeholders of a form.
var formPlaceholders = map[string]string{
	"{host}":    `[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]+)?|\[[0-9a-f:]+\](?::[0-9]+)?`,
	"{label}":   `[a-z0-9-]+`,
	"{segment}": `[A-Za-z0-9._~-]+`,
	"{path}":    `[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*`,
}

var formPlaceholder = regexp.MustCompile(`\{[^{}]*\}`)

// compile makes the matchers of the forms.
func (f *IssuerForms) compile() error {
	for _, form := range f.Forms {
		var b strings.Builder
		at := 0
		for _, m := range formPlaceholder.FindAllStringIndex(form, -1) {
			class, known := formPlaceholders[form[m[0]:m[1]]]
			if !known {
				return fmt.Errorf("issuer form %q has an unknown placeholder %s", form, form[m[0]:m[1]])
			}
			b.WriteString(regexp.QuoteMeta(form[at:m[0]]) + "(?:" + class + ")")
			at = m[1]
		}
		b.WriteString(regexp.QuoteMeta(form[at:]))
		re, err := regexp.Compile("^(?:" + b.String() + ")$")
		if err != nil {
			return fmt.Errorf("issuer form %q: %w", form, err)
		}
		f.matchers = append(f.matchers, re)
	}
	return nil
}

// IssuerURL checks an issuer URL that an operator configured, or gives the well-known one for an empty one. The URL is
// returned exactly as written, since iss must be equal to it byte for byte.
func (p *Provider) IssuerURL(configured string) (string, error) {
	if configured == "" {
		if p.Issuer.Default == "" {
			return "", fmt.Errorf("provider %s has no well-known issuer: write its URL after the name, like one of %s", p.Name, strings.Join(p.Issuer.Forms, ", "))
		}
		return p.Issuer.Default, nil
	}
	u, err := canonicalURL(configured)
	if err != nil {
		return "", fmt.Errorf("issuer URL %q: %w", configured, err)
	}
	if configured == p.Issuer.Default || IsLoopback(u.Hostname()) {
		return configured, nil
	}
	for _, re := range p.Issuer.matchers {
		if re.MatchString(configured) {
			return configured, nil
		}
	}
	return "", fmt.Errorf("issuer URL %q is no issuer of provider %s: expected %s", configured, p.Name,
		strings.Join(append(nonEmpty(p.Issuer.Default), p.Issuer.Forms...), " or "))
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// canonicalURL accepts only URLs that have one spelling, so that "equal" and "means the same" are one.
func canonicalURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(host)):
		return nil, errors.New("must begin with https:// (http:// is for loopback hosts only)")
	case host == "" || u.Opaque != "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("must not hold a query or fragment")
	case u.Host != strings.ToLower(u.Host) || strings.HasSuffix(host, "."):
		return nil, errors.New("the host must be in lower case, without a final dot")
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" || strings.HasSuffix(u.Host, ":"):
		return nil, errors.New("must leave out the default port")
	case u.RawPath != "" || strings.ContainsAny(u.Path, "%;\\ ") || strings.Contains(s, "%"):
		return nil, errors.New("must not hold encoded characters")
	case u.String() != s:
		return nil, fmt.Errorf("is not in its canonical form %q", u.String())
	}
	for segment := range strings.SplitSeq(strings.Trim(u.Path, "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && strings.Trim(u.Path, "/") != "" {
			return nil, errors.New("must not hold dot segments or doubled slashes")
		}
	}
	if strings.HasSuffix(u.Path, "//") {
		return nil, errors.New("must not hold dot segments or doubled slashes")
	}
	return u, nil
}

// IsLoopback is true for host names that can only be this machine.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && net.IP(addr.Unmap().AsSlice()).IsLoopback()
}
