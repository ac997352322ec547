package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/trustpub/trustpub/internal/model"
)

// inlineKey is the JSON key that names a guest's module, as in {"module": "devpi", ...}.
const inlineKey = "module"

// guest makes a Caddy module of any part that is described by a model.Kind: JSON is the part's configuration struct, and the
// Caddyfile syntax follows from the struct's fields (guest_caddyfile.go). C is the part's configuration interface.
type guest[C any] struct {
	namespace string
	kind      model.Kind[C]
	config    C
}

// registerGuest registers a kind as the Caddy module NAMESPACE.NAME; it panics on a kind without a name, as Caddy does.
func registerGuest[C any](namespace string, kind model.Kind[C]) {
	if kind.Name == "" || kind.New == nil {
		panic(fmt.Sprintf("a part of %s needs a name and a constructor", namespace))
	}
	caddy.RegisterModule(&guest[C]{namespace: namespace, kind: kind})
}

// CaddyModule names the guest. It is a method of the pointer since the name depends on the kind.
func (g *guest[C]) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID: caddy.ModuleID(g.namespace + "." + g.kind.Name),
		New: func() caddy.Module {
			return &guest[C]{namespace: g.namespace, kind: g.kind, config: g.kind.New()}
		},
	}
}

// MarshalJSON writes the part's own configuration.
func (g *guest[C]) MarshalJSON() ([]byte, error) { return json.Marshal(g.config) }

// UnmarshalJSON reads the part's own configuration; unknown fields are errors.
func (g *guest[C]) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(g.config); err != nil {
		return fmt.Errorf("%s: %w", g.kind.Name, err)
	}
	return nil
}

// Validate refuses secrets that are anything but placeholders, whichever way the configuration came in.
func (g *guest[C]) Validate() error {
	if err := checkSecrets(reflect.ValueOf(g.config)); err != nil {
		return fmt.Errorf("%s: %w", g.kind.Name, err)
	}
	return nil
}

// namedSecret is a secret of a configuration and the field that it is in.
type namedSecret struct {
	field  string
	secret model.Secret
}

// checkSecrets validates every secret of a configuration that is set; whether it must be set is up to the part.
func checkSecrets(v reflect.Value) error {
	for _, s := range secretsOf(v, "") {
		if err := s.secret.Validate(); err != nil {
			return fmt.Errorf("%s: %w", s.field, err)
		}
	}
	return nil
}

// secretsOf walks a configuration for secrets that are set.
func secretsOf(v reflect.Value, path string) []namedSecret {
	var all []namedSecret
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return secretsOf(v.Elem(), path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				all = append(all, secretsOf(v.Field(i), strings.TrimPrefix(path+"."+jsonName(f), "."))...)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			all = append(all, secretsOf(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			all = append(all, secretsOf(v.MapIndex(k), path+"."+k.String())...)
		}
	case reflect.String:
		if v.Type() == secretType && v.String() != "" {
			all = append(all, namedSecret{path, model.Secret(v.String())})
		}
	}
	return all
}

// jsonName is the name of a field in JSON and in the Caddyfile; empty where the field has none.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}

// configOf takes the part's configuration out of a loaded module: a guest, or a module of somebody else that implements
// the configuration interface itself.
func configOf[C any](module any) (C, error) {
	if g, ok := module.(*guest[C]); ok {
		return g.config, nil
	}
	if c, ok := module.(C); ok {
		return c, nil
	}
	var zero C
	return zero, fmt.Errorf("module %T implements no %s", module, reflect.TypeFor[C]())
}

// Interface guards
var (
	_ caddy.Module          = (*guest[any])(nil)
	_ caddy.Validator       = (*guest[any])(nil)
	_ caddyfile.Unmarshaler = (*guest[any])(nil)
	_ json.Marshaler        = (*guest[any])(nil)
	_ json.Unmarshaler      = (*guest[any])(nil)
)
