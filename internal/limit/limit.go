// Package limit bounds what callers can make the gateway do before it knows who they are, and what all uploads together may hold: rates
// for each client address and each issuer, spools and their disk. Its state outlives a configuration, so that a reload is no fresh budget.
package limit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/trustpub/trustpub/internal/model"
)

// Name is a limit, as metrics and the configuration call it.
type Name string

// The limits.
const (
	ExchangesPerClient Name = "exchanges_per_client"
	ExchangesPerIssuer Name = "exchanges_per_issuer"
	FailuresPerClient  Name = "failures_per_client"
	RefusalsPerClient  Name = "refusals_per_client"
	Refusals           Name = "refusals"
	SpoolCount         Name = "spools"
	SpoolDisk          Name = "spool_disk"
	SpoolFree          Name = "spool_free"
	SpoolShare         Name = "spool_share"
)

// Names lists them all.
func Names() []Name {
	return []Name{ExchangesPerClient, ExchangesPerIssuer, FailuresPerClient, RefusalsPerClient, Refusals, SpoolCount, SpoolDisk, SpoolFree, SpoolShare}
}

// FreeShare as Settings.SpoolFree keeps a twentieth of the disk free, and 1 GiB at most.
const FreeShare = -1

// addresses is how many client addresses are remembered: the ones that were heard of last. Each takes some hundred bytes.
const addresses = 1 << 15

// Settings are the limits; the zero value of each is none.
type Settings struct {
	// ExchangesPerClient and FailuresPerClient are for each client address: exchanges, and tokens that were not believed.
	ExchangesPerClient, FailuresPerClient Rate
	// ExchangesPerIssuer is for each issuer: exchanges that a policy grants.
	ExchangesPerIssuer Rate
	// RefusalsPerClient and Refusals are lines of the audit about requests that are refused and whose sender nobody knows: those of each client
	// address, and those of all.
	RefusalsPerClient, Refusals Rate
	// Spools is how many uploads may be spooled at a time, SpoolDisk the bytes that they may have on the disk, SpoolFree what must stay
	// free there.
	Spools               int
	SpoolDisk, SpoolFree int64
	// SpoolShare is the part of all three, in percent, that one client may have.
	SpoolShare int
}

// Options are what limits need from outside.
type Options struct {
	// Dir is where spools are.
	Dir string
	// Limited is told of each refusal; nil: nobody is.
	Limited func(Name)
	// Free says how many bytes of the disk of a folder are free for us, and how many it has; nil: the system is asked.
	Free func(dir string) (free, all int64, err error)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Limits keeps account. It is safe for concurrent use.
type Limits struct {
	options  Options
	settings atomic.Pointer[Settings]

	// alert is the time, in nanoseconds since 1970, until which some address may have no failures left. Before it, and only then, Attempt
	// has to look one up.
	alert atomic.Int64

	mu      sync.Mutex
	clients *simplelru.LRU[netip.Addr, *client]
	issuers map[string]*budget
	// refusals is the budget of all addresses together, unrecorded how many refusals found none since the last one that did.
	refusals   budget
	unrecorded int64

	spooling sync.Mutex // guards what follows
	spooled  holding
	holders  map[string]*holding
}

// client is the account of one address.
type client struct{ exchanges, failures, refusals budget }

// New makes limits that bound nothing before Use.
func New(options Options) *Limits {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Free == nil {
		options.Free = diskSpace
	}
	if options.Limited == nil {
		options.Limited = func(Name) {}
	}
	clients, err := simplelru.NewLRU[netip.Addr, *client](addresses, nil)
	if err != nil {
		panic(err) // of a size that is not positive
	}
	l := &Limits{options: options, clients: clients, issuers: map[string]*budget{}, holders: map[string]*holding{}}
	l.settings.Store(&Settings{})
	return l
}

// Use sets the limits. What was used up stays used up.
func (l *Limits) Use(s Settings) { l.settings.Store(&s) }

// Close ends nothing: there is only memory.
func (l *Limits) Close() error { return nil }

// Exchange takes one exchange out of the budget of a client's address.
func (l *Limits) Exchange(address string) error {
	r := l.settings.Load().ExchangesPerClient
	if !r.bounds() {
		return nil
	}
	now := l.options.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.client(address).exchanges
	return l.refuse(b, b.take(r, now), now, ExchangesPerClient, "exchanges from this address", r)
}

// Grant takes one exchange out of the budget of an issuer.
func (l *Limits) Grant(issuer string) error {
	r := l.settings.Load().ExchangesPerIssuer
	if !r.bounds() {
		return nil
	}
	now := l.options.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.issuers[issuer]
	if b == nil { // names of the configuration: there are few
		b = new(budget)
		l.issuers[issuer] = b
	}
	return l.refuse(b, b.take(r, now), now, ExchangesPerIssuer, "exchanges of issuer "+issuer, r)
}

// Disbelieved counts a token of an address that was not believed.
func (l *Limits) Disbelieved(address string) {
	r := l.settings.Load().FailuresPerClient
	if !r.bounds() {
		return
	}
	now := l.options.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.client(address).failures
	b.take(r, now)
	if wait := b.wait(r, now); wait > 0 {
		l.alert.Store(max(l.alert.Load(), now.Add(wait).UnixNano()))
	}
}

// Attempt refuses to look at a token of an address that has sent too many that were not believed. While there is no such address, it
// takes no lock: it is asked for every token.
func (l *Limits) Attempt(address string) error {
	now := l.options.Now()
	if now.UnixNano() >= l.alert.Load() {
		return nil
	}
	r := l.settings.Load().FailuresPerClient
	if !r.bounds() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, known := l.clients.Peek(keyOf(address))
	if !known {
		return nil
	}
	return l.refuse(&c.failures, c.failures.wait(r, now), now, FailuresPerClient, "tokens from this address that were not believed", r)
}

// Refused asks whether the audit has room for the refusal of a request whose sender nobody knows. It is refused anyway; without room it is
// counted only, but for one a minute. Of one that is recorded, missed is how many were not, whatever their addresses, since the last that was.
func (l *Limits) Refused(address string) (quiet bool, missed int64) {
	s, now := l.settings.Load(), l.options.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	full := Name("")
	if s.RefusalsPerClient.bounds() && !l.client(address).refusals.records(s.RefusalsPerClient, now) {
		full = RefusalsPerClient
	} else if s.Refusals.bounds() && !l.refusals.records(s.Refusals, now) {
		full = Refusals
	}
	if full != "" {
		l.unrecorded++
		l.options.Limited(full)
		return true, 0
	}
	missed, l.unrecorded = l.unrecorded, 0
	return false, missed
}

// client is the account of an address; the lock is held.
func (l *Limits) client(address string) *client {
	key := keyOf(address)
	if c, known := l.clients.Get(key); known {
		return c
	}
	c := new(client)
	l.clients.Add(key, c)
	return c
}

// refuse is the denial where a budget is used up for some time; the lock is held. The audit hears of it now and then: a flood must not
// fill its disk.
func (l *Limits) refuse(b *budget, wait time.Duration, now time.Time, name Name, field string, r Rate) error {
	if wait <= 0 {
		return nil
	}
	l.options.Limited(name)
	denial := model.Deny(model.CodeRateLimited).Differ(field, "more", "at most "+r.String()).After(wait)
	denial.Quiet = !b.tells(now)
	return denial
}

// keyOf is what is counted as one client: an address, or the network of 64 bits that one client of IPv6 has to itself. What is no
// address, as on a socket of the file system, is one client too.
func keyOf(address string) netip.Addr {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a
	}
	network, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return network.Addr()
}
