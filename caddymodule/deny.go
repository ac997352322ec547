package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/trustpub/trustpub/internal/model"
)

// denyPath is the admin API's route for switches.
const denyPath = "/" + appName + "/deny"

// maxSwitchBody bounds the request that sets a switch, in bytes.
const maxSwitchBody = 16 << 10

// switchTimeout bounds the store's answer to an operator.
const switchTimeout = 10 * time.Second

// serveDeny lists (GET), sets (POST) and removes (DELETE) switches. POST and DELETE take one model.Switch as JSON; all of
// them answer with the list of now.
func serveDeny(w http.ResponseWriter, r *http.Request) error {
	app := active.Load()
	if app == nil || !app.gate.enter() {
		return adminError(http.StatusServiceUnavailable, "no configuration with trusted publishing runs")
	}
	defer app.gate.leave()
	s := app.running.Load()
	if s == nil {
		return adminError(http.StatusServiceUnavailable, "trusted publishing is starting; try again")
	}
	ctx, cancel := context.WithTimeout(r.Context(), switchTimeout)
	defer cancel()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost, http.MethodDelete:
		if err := app.change(ctx, s, r); err != nil {
			return err
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, DELETE")
		return adminError(http.StatusMethodNotAllowed, "method is %s, expected GET, POST or DELETE", r.Method)
	}
	list, err := s.switches.List(ctx)
	if err != nil {
		return adminError(http.StatusServiceUnavailable, "the store cannot be read: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}

func adminError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// change sets or removes the switch in a request. It acts before it is written to the audit: an emergency must not wait for a
// disk that is full.
func (a *App) change(ctx context.Context, s *services, r *http.Request) error {
	one, err := readSwitch(r.Body)
	if err != nil {
		return adminError(http.StatusBadRequest, "%w", err)
	}
	one.Since = time.Now().UTC().Truncate(time.Second)
	one.By = operator(one.By, r.RemoteAddr)
	action := "add"
	if r.Method == http.MethodDelete {
		action = "remove"
		if known, err := a.spelled(one); err == nil {
			one = known // what is not configured any more is removed as it is written
		}
		found, err := s.switches.Remove(ctx, one)
		if err != nil {
			return adminError(http.StatusServiceUnavailable, "the switch was not removed: %w", err)
		}
		if !found {
			return adminError(http.StatusNotFound, "there is no switch %s", one)
		}
	} else {
		if one, err = a.spelled(one); err == nil {
			err = one.Check(time.Now())
		}
		if err != nil {
			return adminError(http.StatusBadRequest, "%w", err)
		}
		if err := s.switches.Set(ctx, one); err != nil {
			return adminError(http.StatusServiceUnavailable, "the switch was not set: %w", err)
		}
	}
	s.audit.Note(switchEvent(action, one))
	relayLogger.Warn("an operator changed a switch", "action", action, "switch", one.String(), "by", one.By, "reason", one.Reason)
	return nil
}

// readSwitch reads a body strictly.
func readSwitch(body io.Reader) (model.Switch, error) {
	var one model.Switch
	text, err := io.ReadAll(io.LimitReader(body, maxSwitchBody+1))
	if err != nil {
		return one, err
	}
	if len(text) > maxSwitchBody {
		return one, fmt.Errorf("the request has more than %d bytes", maxSwitchBody)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&one); err != nil {
		return one, fmt.Errorf("the request is no switch: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return one, errors.New("the request holds more than one switch")
	}
	return one, nil
}

// operator is who says that they are, and where the request came from, which is what is known.
func operator(says, addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host
	}
	if addr == "" || addr == "@" {
		addr = "a local socket"
	}
	if says == "" {
		return addr
	}
	return says + " via " + addr
}

// spelled is the switch with the package's name as its ecosystem spells it. A registry or an issuer that is not configured is
// an error: a switch with a typing mistake stops nothing.
func (a *App) spelled(one model.Switch) (model.Switch, error) {
	issuers := make([]string, 0, len(a.Issuers))
	for _, i := range a.Issuers {
		issuers = append(issuers, i.config().Name)
	}
	issuer := one.Issuer
	if one.Kind == model.SwitchIssuer {
		issuer = one.Value
	}
	if issuer != "" && !slices.Contains(issuers, issuer) {
		return one, fmt.Errorf("issuer %q is not configured, expected one of %v", issuer, issuers)
	}
	if one.Kind != model.SwitchPackage && one.Kind != model.SwitchRegistry {
		return one, nil
	}
	registry, name, _ := strings.Cut(one.Value, "/")
	a.mu.Lock()
	declared, known := a.declared[registry]
	names := slices.Sorted(maps.Keys(a.declared))
	a.mu.Unlock()
	switch {
	case !known:
		return one, fmt.Errorf("registry %q is not configured, expected one of %v", registry, names)
	case one.Kind == model.SwitchRegistry:
		return one, nil
	case name == "":
		return one, fmt.Errorf("value is %q, expected registry/package, as in %s/acme-widget", one.Value, registry)
	}
	canonical, err := model.NormalizeName(declared.registry.Ecosystem, name)
	if err != nil {
		return one, err
	}
	one.Value = registry + "/" + canonical
	return one, nil
}

// switchEvent is the audit's line of a switch that was set or removed.
func switchEvent(action string, one model.Switch) model.Event {
	detail := map[string]string{"action": action, "kind": string(one.Kind), "value": one.Value, "by": one.By}
	for name, value := range map[string]string{"issuer": one.Issuer, "reason": one.Reason} {
		if value != "" {
			detail[name] = value
		}
	}
	if !one.Until.IsZero() {
		detail["until"] = one.Until.UTC().Format(time.RFC3339)
	}
	return model.Event{Kind: model.EventSwitch, Detail: detail}
}
