package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

const (
	// longIssuerLife is a life of identity tokens above the default.
	longIssuerLife = time.Hour
	// longTokenLife is a life of publish tokens that is more than a job's upload takes.
	longTokenLife = 30 * time.Minute
)

// Issuer asks an issuer for its keys and its time, as the gateway does.
func Issuer(i *identity.Issuer) Check {
	c := Check{Area: "issuer", Subject: i.Name(), What: "its discovery, keys and clock", Network: !i.Pinned() && !i.Disabled()}
	c.Run = func(ctx context.Context) []Finding {
		if i.Disabled() {
			return []Finding{ok("disabled: its tokens are refused, and it is not asked")}
		}
		found, err := i.Inspect(ctx)
		if err != nil {
			return []Finding{failure("the gateway must reach it for its keys: check the URL, DNS, the way through firewalls and proxies, and \"ca\" for a private authority", "%s: %v", i.URL(), err)}
		}
		all := []Finding{keys(i, found)}
		if !i.Pinned() {
			all = append(all, clock(found))
		}
		for _, why := range found.Skipped {
			all = append(all, warning("tokens that name this key are refused", "a key of its is not used: %s", why))
		}
		return all
	}
	return c
}

// keys says what an issuer's keys are good for.
func keys(i *identity.Issuer, found identity.Inspection) Finding {
	from := "its file"
	if !i.Pinned() {
		from = found.KeysURL
	}
	if len(found.Usable) == 0 {
		return failure("write \"algorithms\" with those that it signs with", "the %s from %s fit none of the configured algorithms (%s)", number(found.Keys, "key"), from, strings.Join(i.Algorithms(), ", "))
	}
	return ok("%s from %s, for %s", number(found.Keys, "key"), from, strings.Join(found.Usable, ", "))
}

// clock says how far an issuer's clock is off.
func clock(found identity.Inspection) Finding {
	skew := found.Skew.Round(time.Second)
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	const help = "run a time service on this machine, and find out which of the two clocks is wrong"
	switch {
	case !found.Dated:
		return unproved("", "whether its clock is right: its answer has no Date")
	case found.Skew.Abs() > identity.Leeway:
		return failure(help, "its clock is %s %s this machine's, and tokens may be off by at most %s: they are refused as not yet valid or expired", skew.Abs(), direction, identity.Leeway)
	case found.Skew.Abs() > identity.Leeway/3:
		return warning(help, "its clock is %s %s this machine's; at more than %s tokens are refused", skew.Abs(), direction, identity.Leeway)
	}
	return ok("its clock agrees with this machine's")
}

// IssuerSettings looks for weak settings of an issuer.
func IssuerSettings(i *identity.Issuer) Check {
	return Check{Area: "issuer", Subject: i.Name(), What: "its settings", Run: func(context.Context) []Finding {
		var all []Finding
		if p, known := provider.Get(i.Provider()); known && !p.Pinned() && !i.Disabled() && !i.BreakGlass() {
			all = append(all, warning(
				"prefer an issuer with ids; else keep policies narrow, and remove them when a repository or account is given up",
				"tokens of the provider %s carry no id of a repository or owner, so that whoever gets a name later gets its policies too", i.Provider()))
		}
		if i.MaxLifetime() > longIssuerLife {
			all = append(all, warning("shorten max_lifetime, if the platform's tokens allow it", "max_lifetime is %s: a token that leaks can be used for as long; the default is %s", short(i.MaxLifetime()), short(longIssuerLife)))
		}
		return all
	}}
}

// TokenLifetime looks at the life of publish tokens.
func TokenLifetime(life time.Duration) Check {
	return Check{Area: "tokens", What: "token_lifetime", Run: func(context.Context) []Finding {
		if life > longTokenLife {
			return []Finding{warning("write token_lifetime 15m, or as long as the longest job needs from its exchange to its last upload", "token_lifetime is %s: a publish token that leaks can be used for as long", short(life))}
		}
		return []Finding{ok("a publish token lives for %s", short(life))}
	}}
}

// short is a duration without the parts that are zero: 15m for 15m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// SigningKeys looks at the keys of publish tokens without making or rotating any.
func SigningKeys(what string, network bool, inspect func(context.Context) (int, error)) Check {
	return Check{Area: "tokens", What: what, Network: network, Run: func(ctx context.Context) []Finding {
		n, err := inspect(ctx)
		switch {
		case err != nil:
			return []Finding{failure("without its signing keys the gateway neither exchanges nor accepts publish tokens: make them readable, or remove them, which ends all publish tokens and makes new ones", "%s: %s", what, model.OneLine(err.Error(), 500))}
		case n == 0:
			return []Finding{ok("%s: none is there yet; the first exchange makes one", what)}
		}
		return []Finding{ok("%s: %s", what, number(n, "key"))}
	}}
}
