// Package redis keeps claims, revocations and switches in a Redis or Valkey server that several gateways share: whichever of
// them a token reaches, it is used once. A server that was restarted or replaced may have forgotten claims; the store notices,
// and tokens from before that are refused.
package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// Kind registers the store as `store redis ADDRESS...`.
var Kind = store.Kind{Name: "redis", New: func() store.Config { return new(Config) }}

const (
	// defaultPrefix begins every key that the store uses.
	defaultPrefix = "trustpub:"
	// DefaultTimeout bounds one call, its connection included.
	DefaultTimeout = 100 * time.Millisecond
	maxTimeout     = 5 * time.Second
)

// Config says where the server is and how to talk to it.
type Config struct {
	// Addresses as host:port: one server; with sentinel, the sentinels; with cluster, some nodes of the cluster.
	Addresses []string `json:"addresses" caddyfile:"arg"`
	// Sentinel is the name of the primary that the sentinels watch.
	Sentinel string `json:"sentinel,omitempty"`
	// Cluster says that the addresses are nodes of a Redis Cluster.
	Cluster bool `json:"cluster,omitempty"`

	// Username and Password log in; a user without a name is the default one. SentinelUsername and SentinelPassword are for
	// the sentinels.
	Username         string       `json:"username,omitempty"`
	Password         model.Secret `json:"password,omitempty"`
	SentinelUsername string       `json:"sentinel_username,omitempty"`
	SentinelPassword model.Secret `json:"sentinel_password,omitempty"`

	// TLS encrypts; CA is the only authority (PEM) that the server's certificate may come from, else the system's. Either of
	// CA, ServerName and Certificate turns TLS on.
	TLS bool   `json:"tls,omitempty"`
	CA  string `json:"ca,omitempty" caddyfile:"path"`
	// ServerName is the name in the server's certificate; default: the host of the address.
	ServerName string `json:"server_name,omitempty"`
	// Certificate and Key (PEM) are the gateway's own, where the server asks for one.
	Certificate string `json:"certificate,omitempty" caddyfile:"path"`
	KeyFile     string `json:"key,omitempty" caddyfile:"path"`

	// DB is the number of the database; a cluster has only 0.
	DB int `json:"db,omitempty"`
	// Prefix begins all keys. Gateways that share it share their claims. Default: "trustpub:".
	Prefix string `json:"prefix,omitempty"`
	// Timeout bounds one call. Default: 100ms.
	Timeout model.Duration `json:"timeout,omitempty"`
	// Durable promises that the server writes each claim to its disk before it answers (appendonly yes, appendfsync always)
	// and is never replaced by a replica, so that a restart forgets nothing.
	Durable bool `json:"durable,omitempty"`
}

var (
	_ store.Config = (*Config)(nil)
	_ store.Shared = (*Config)(nil)
)

// SharedByNodes is true: that is what the store is for.
func (*Config) SharedByNodes() bool { return true }

// Validate refuses what cannot work, without touching anything.
func (c *Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("no address is given: write \"store redis HOST:PORT\"")
	}
	for _, address := range c.Addresses {
		host, port, err := net.SplitHostPort(address)
		if n, portErr := strconv.Atoi(port); err != nil || host == "" || portErr != nil || n < 1 || n > 65535 {
			return fmt.Errorf("address is %q, expected host:port, as in redis.example.com:6379", address)
		}
	}
	for name, secret := range map[string]model.Secret{"password": c.Password, "sentinel_password": c.SentinelPassword} {
		if secret != "" {
			if err := secret.Validate(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	switch {
	case len(c.Addresses) > 1 && c.Sentinel == "" && !c.Cluster:
		return fmt.Errorf("%d addresses are given, expected one: write \"sentinel NAME\" where they are sentinels, or \"cluster\" where they are nodes of a cluster", len(c.Addresses))
	case c.Sentinel != "" && c.Cluster:
		return errors.New("both sentinel and cluster are set, expected one: a cluster needs no sentinels")
	case c.Sentinel == "" && (c.SentinelUsername != "" || c.SentinelPassword != ""):
		return errors.New("sentinel_username or sentinel_password is set without sentinel NAME")
	case c.Username != "" && c.Password == "":
		return fmt.Errorf("username is %q and there is no password: write \"password {file./absolute/path}\"", c.Username)
	case c.DB < 0 || c.Cluster && c.DB != 0:
		return fmt.Errorf("db is %d, expected 0 or more, and 0 in a cluster", c.DB)
	case (c.Certificate == "") != (c.KeyFile == ""):
		return errors.New("certificate and key belong together, expected both or none")
	case c.Durable && (c.Cluster || c.Sentinel != ""):
		return errors.New("durable is set with sentinel or cluster: a replica that takes over may lack the last claims, so it can't be promised there")
	case strings.ContainsAny(c.Prefix, "{} \r\n\x00"):
		return fmt.Errorf("prefix is %q, expected text without braces, spaces and control characters", c.Prefix)
	}
	if t := time.Duration(c.Timeout); t != 0 && (t < time.Millisecond || t > maxTimeout) {
		return fmt.Errorf("timeout is %s, expected 1ms to %s: a publish waits for it", t, maxTimeout)
	}
	return nil
}

// Key is the whole configuration: it holds no secret, and another one needs other connections.
func (c *Config) Key(store.Env) (string, error) {
	b, err := json.Marshal(c) //nolint:gosec // of the password, the place where it is
	return "redis:" + string(b), err
}

// Open connects. A server that is away is no error, since it may come back; one that refuses is.
func (c *Config) Open(ctx context.Context, env store.Env) (store.Store, error) {
	return Open(ctx, *c, Options{Logger: env.Logger})
}

func (c *Config) prefix() string {
	if c.Prefix == "" {
		return defaultPrefix
	}
	return c.Prefix
}

func (c *Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return DefaultTimeout
	}
	return time.Duration(c.Timeout)
}
