package caddymodule

import (
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/trustpub/trustpub/internal/limit"
)

// Limits bound what callers can make the gateway do before it knows who they are, and what all uploads together may hold. Each is a text
// as in the Caddyfile, or "off".
type Limits struct {
	// Exchanges of one client address: how many in which time. Default: 1200/1m.
	ExchangesPerClient string `json:"exchanges_per_client,omitempty"`
	// Exchanges of one issuer that a policy grants. Default: 6000/1m.
	ExchangesPerIssuer string `json:"exchanges_per_issuer,omitempty"`
	// Tokens of one client address that were not believed. Default: 600/1m.
	FailuresPerClient string `json:"failures_per_client,omitempty"`
	// Refusals of one client address that the audit has line by line, where nobody knows who was refused. Default: 600/1h.
	RefusalsPerClient string `json:"refusals_per_client,omitempty"`
	// The same of all addresses together. Default: 6000/1h.
	Refusals string `json:"refusals,omitempty"`
	// How many uploads may be spooled at a time. Default: 512.
	Spools string `json:"spools,omitempty"`
	// How many bytes they may have on the disk together. Default: 32GiB.
	SpoolDisk string `json:"spool_disk,omitempty"`
	// How many bytes of that disk stay free. Default: a twentieth of it, 1 GiB at most.
	SpoolFree string `json:"spool_free,omitempty"`
	// How much of the uploads, of their bytes and of the free room one client may have, in percent. Default: 50%.
	SpoolShare string `json:"spool_share,omitempty"`
	// How long the client of a body may be silent. Default: 50s, less than Caddy's own minute.
	BodyIdle string `json:"body_idle,omitempty"`
	// How many bytes a second it must send. Default: 1KiB.
	BodyRate string `json:"body_rate,omitempty"`
}

// off is the word for no limit.
const off = "off"

// defaultLimits are the limits where none are configured.
var defaultLimits = settings{
	Settings: limit.Settings{
		ExchangesPerClient: limit.Rate{Count: 1200, Per: time.Minute},
		ExchangesPerIssuer: limit.Rate{Count: 6000, Per: time.Minute},
		FailuresPerClient:  limit.Rate{Count: 600, Per: time.Minute},
		RefusalsPerClient:  limit.Rate{Count: 600, Per: time.Hour},
		Refusals:           limit.Rate{Count: 6000, Per: time.Hour},
		Spools:             512, SpoolDisk: 32 << 30, SpoolFree: limit.FreeShare, SpoolShare: 50,
	},
	bodyIdle: 50 * time.Second, bodyRate: 1 << 10,
}

// maxIdle is beyond any silence that makes sense.
const maxIdle = 24 * time.Hour

// settings are all limits, as they are used.
type settings struct {
	limit.Settings
	bodyIdle time.Duration
	bodyRate int64
}

// settings are the limits with their defaults.
func (l Limits) settings() (settings, error) {
	s := defaultLimits
	err := errors.Join(
		read(limit.ExchangesPerClient, l.ExchangesPerClient, &s.ExchangesPerClient, limit.ParseRate),
		read(limit.ExchangesPerIssuer, l.ExchangesPerIssuer, &s.ExchangesPerIssuer, limit.ParseRate),
		read(limit.FailuresPerClient, l.FailuresPerClient, &s.FailuresPerClient, limit.ParseRate),
		read(limit.RefusalsPerClient, l.RefusalsPerClient, &s.RefusalsPerClient, limit.ParseRate),
		read(limit.Refusals, l.Refusals, &s.Refusals, limit.ParseRate),
		read(limit.SpoolCount, l.Spools, &s.Spools, parseCount),
		read(limit.SpoolDisk, l.SpoolDisk, &s.SpoolDisk, parseSize),
		read(limit.SpoolFree, l.SpoolFree, &s.SpoolFree, parseSize),
		read(limit.SpoolShare, l.SpoolShare, &s.SpoolShare, parsePercent),
		read("body_idle", l.BodyIdle, &s.bodyIdle, parseIdle),
		read("body_rate", l.BodyRate, &s.bodyRate, parseSize),
	)
	return s, err
}

// read sets one limit where it is configured; off is its zero value.
func read[T any](name limit.Name, text string, into *T, parse func(string) (T, error)) error {
	switch text {
	case "":
		return nil
	case off:
		var none T
		*into = none
		return nil
	}
	v, err := parse(text)
	if err != nil {
		return fmt.Errorf("limits: %s: %w", name, err)
	}
	*into = v
	return nil
}

func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("got %q, expected a whole number, 1 or more, or off", text)
	}
	return n, nil
}

func parsePercent(text string) (int, error) {
	number, ok := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > 100 {
		return 0, fmt.Errorf("got %q, expected a part of 1%% to 100%%, like 50%%, or off", text)
	}
	return n, nil
}

func parseIdle(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > maxIdle {
		return 0, fmt.Errorf("got %q, expected a time of 1s to 24h, or off", text)
	}
	return d, nil
}

func parseSize(text string) (int64, error) {
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > math.MaxInt64 {
		return 0, fmt.Errorf("got %q, expected a size like 500MB or 2GiB, or off", text)
	}
	return int64(size), nil
}

// unmarshalCaddyfile reads the block limits of the global option; the dispenser stands on the word limits.
func (l *Limits) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("limits takes no arguments, only a block")
	}
	fields := reflect.ValueOf(l).Elem()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		field, ok := limitField(fields, name)
		if !ok {
			return d.Errf("unrecognized subdirective %q of limits: expected %s", name, strings.Join(limitNames(), ", "))
		}
		err := once(d, name, field.String() != "", func(v string) error {
			field.SetString(v)
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := l.settings(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// limitField finds a limit by the name that it has in JSON.
func limitField(fields reflect.Value, name string) (reflect.Value, bool) {
	for i, have := range limitNames() {
		if have == name {
			return fields.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// limitNames are the limits in their order.
func limitNames() []string {
	t := reflect.TypeFor[Limits]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// openLimits finds the accounts of the configuration before, or opens new ones. The limits themselves are set when all has started.
func (s *services) openLimits() (err error) {
	s.limits, err = take(&s.leases, "limits", func() (*limit.Limits, func() error, error) {
		l := limit.New(limit.Options{Dir: os.TempDir(), Limited: func(name limit.Name) { meter{}.Limited(string(name)) }})
		return l, l.Close, nil
	})
	return err
}
