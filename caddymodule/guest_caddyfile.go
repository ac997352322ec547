package caddymodule

import (
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/trustpub/trustpub/internal/model"
)

var (
	secretType = reflect.TypeFor[model.Secret]()
	textType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// UnmarshalCaddyfile fills the part's configuration by the rules of model.Kind. The dispenser stands before the part's name.
//
//	NAME [ARGS...] {
//		FIELD VALUE
//	}
func (g *guest[C]) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the part's name
	v := reflect.ValueOf(any(g.config))
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return d.Errf("%s cannot be configured from a Caddyfile: its configuration is no struct", g.kind.Name)
	}
	p := partParser{Dispenser: d, part: g.kind.Name, seen: map[string]bool{}}
	if err := p.arguments(v.Elem()); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.subdirective(v.Elem()); err != nil {
			return err
		}
	}
	return nil
}

// partParser reads one part's block. Its errors never quote a token that may be a secret.
type partParser struct {
	*caddyfile.Dispenser
	part string
	seen map[string]bool
}

// arguments fills the fields tagged `caddyfile:"arg"` from the line that names the part, in the order of the fields.
func (p *partParser) arguments(v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !tagged(f, "arg") {
			continue
		}
		if f.Type.Kind() == reflect.Slice {
			if err := p.list(f, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		if !p.NextArg() {
			break
		}
		p.seen[jsonName(f)] = true
		if err := p.set(f, v.Field(i), p.Val()); err != nil {
			return err
		}
	}
	return p.noMore(p.part)
}

// subdirective fills one field from one line of the block.
func (p *partParser) subdirective(v reflect.Value) error {
	name := p.Val()
	f, ok := fieldNamed(v.Type(), name)
	if !ok {
		return p.Errf("unrecognized subdirective %q of %s: expected %s", name, p.part, strings.Join(fieldNames(v.Type()), ", "))
	}
	field := v.FieldByIndex(f.Index)
	if f.Type.Kind() == reflect.Slice {
		if err := p.list(f, field); err != nil {
			return err
		}
		return p.noMore(name)
	}
	if p.seen[name] {
		return p.Errf("%s of %s is given twice", name, p.part)
	}
	p.seen[name] = true
	switch {
	case f.Type.Kind() == reflect.Bool:
		field.SetBool(true)
	case f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct:
		if err := p.positional(name, f, field); err != nil {
			return err
		}
	default:
		if !p.NextArg() {
			return p.Errf("%s of %s needs a value", name, p.part)
		}
		if err := p.set(f, field, p.Val()); err != nil {
			return err
		}
	}
	return p.noMore(name)
}

// positional fills the struct behind a pointer from the line's arguments, in the order of its fields.
func (p *partParser) positional(name string, f reflect.StructField, field reflect.Value) error {
	s := reflect.New(f.Type.Elem())
	var usage []string
	for i := range s.Elem().NumField() {
		if n := jsonName(s.Elem().Type().Field(i)); n != "" {
			usage = append(usage, strings.ToUpper(n))
		}
	}
	for i := range s.Elem().NumField() {
		inner := s.Elem().Type().Field(i)
		if jsonName(inner) == "" {
			continue
		}
		if !p.NextArg() {
			return p.Errf("too few arguments: write %s %s", name, strings.Join(usage, " "))
		}
		if err := p.set(inner, s.Elem().Field(i), p.Val()); err != nil {
			return err
		}
	}
	field.Set(s)
	return nil
}

// list takes all arguments of the line; the subdirective may repeat.
func (p *partParser) list(f reflect.StructField, field reflect.Value) error {
	args := p.RemainingArgs()
	if len(args) == 0 && !tagged(f, "arg") {
		return p.Errf("%s of %s needs at least one value", jsonName(f), p.part)
	}
	for _, a := range args {
		item := reflect.New(f.Type.Elem()).Elem()
		if err := p.set(f, item, a); err != nil {
			return err
		}
		field.Set(reflect.Append(field, item))
	}
	return nil
}

// set parses one value.
func (p *partParser) set(f reflect.StructField, field reflect.Value, value string) error {
	name := jsonName(f)
	switch {
	case field.Type() == secretType:
		if err := model.Secret(value).Validate(); err != nil {
			return p.Errf("%s of %s: %v", name, p.part, err)
		}
		field.SetString(value)
	case field.CanAddr() && field.Addr().Type().Implements(textType):
		if err := field.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(value)); err != nil {
			return p.Errf("%s of %s: %v", name, p.part, err)
		}
	case field.Kind() == reflect.String:
		if tagged(f, "path") {
			value = besideCaddyfile(p.Dispenser, value)
		}
		field.SetString(value)
	case field.CanInt():
		n, err := strconv.ParseInt(value, 10, field.Type().Bits())
		if err != nil {
			return p.Errf("%s of %s: %v", name, p.part, errors.New("expected a whole number"))
		}
		field.SetInt(n)
	case field.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return p.Errf("%s of %s: expected true or false", name, p.part)
		}
		field.SetBool(b)
	default:
		return p.Errf("%s of %s cannot be set in a Caddyfile", name, p.part)
	}
	return nil
}

// noMore refuses further arguments on the line; it doesn't quote them.
func (p *partParser) noMore(after string) error {
	if p.NextArg() {
		return p.Errf("too many arguments after %s", after)
	}
	return nil
}

// tagged is true for a field with the given word in its caddyfile tag ("arg", "path").
func tagged(f reflect.StructField, word string) bool {
	for _, w := range strings.Split(f.Tag.Get("caddyfile"), ",") {
		if w == word {
			return true
		}
	}
	return false
}

func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && name != "" && jsonName(f) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// fieldNames lists a configuration's subdirectives for an error.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && jsonName(f) != "" {
			names = append(names, jsonName(f))
		}
	}
	sort.Strings(names)
	if len(names) == 0 {
		return []string{"no block"}
	}
	return names
}

// besideCaddyfile takes a relative path from the folder of the file in which it is written, and makes it absolute: the
// configuration may be loaded by a server that runs in another folder.
func besideCaddyfile(d *caddyfile.Dispenser, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	abs, err := filepath.Abs(filepath.Join(filepath.Dir(d.File()), path))
	if err != nil {
		return path // only without a working folder; the path then fails where it is opened, with its name
	}
	return abs
}

// parseGuest reads the guest whose name is the dispenser's next argument: "KEYWORD NAME ... { ... }".
func parseGuest(d *caddyfile.Dispenser, namespace, what string) ([]byte, error) {
	if !d.NextArg() {
		return nil, d.Errf("%s needs the name of its module", what)
	}
	name := d.Val()
	if !guestRegistered(namespace, name) {
		return nil, d.Errf("unknown %s %q: this build has %s", what, name, strings.Join(guestNames(namespace), ", "))
	}
	unm, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return caddyconfig.JSONModuleObject(unm, inlineKey, name, nil), nil
}
