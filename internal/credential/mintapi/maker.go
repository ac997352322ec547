package mintapi

import (
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// The times after which a credential that was made for one request is an orphan.
const (
	DefaultLifetime = 15 * time.Minute
	MinLifetime     = time.Minute
	MaxLifetime     = 24 * time.Hour
)

// Lives bounds the setting lifetime of a source; the zero value has the times of this package.
type Lives struct{ Default, Min, Max time.Duration }

// Maker is what sources have in common that make credentials: the API, how long one lives or is left alone, and the clock.
type Maker struct {
	API      *API
	Lifetime time.Duration
	Now      func() time.Time
}

// NewMaker checks the settings url (example is one, for the error), ca and lifetime; now is the clock of tests, nil: time.Now. It touches no
// network.
func NewMaker(url, example, ca string, lifetime model.Duration, lives Lives, now func() time.Time) (Maker, error) {
	if lives == (Lives{}) {
		lives = Lives{DefaultLifetime, MinLifetime, MaxLifetime}
	}
	m := Maker{Now: now}
	if m.Now == nil {
		m.Now = time.Now
	}
	base, err := CheckURL(url, example)
	if err != nil {
		return Maker{}, err
	}
	if m.Lifetime, err = lifetime.Within("lifetime", lives.Default, lives.Min, lives.Max); err != nil {
		return Maker{}, err
	}
	if m.API, err = New(base, Options{CAFile: ca, Now: m.Now}); err != nil {
		return Maker{}, err
	}
	return m, nil
}
