package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// dialTimeout bounds the connections that are made ahead of use; a call's own is bounded by its timeout.
	dialTimeout = 2 * time.Second
	// connLifetime makes every connection be checked again from time to time.
	connLifetime = 5 * time.Minute
	// warmConns are kept open, so that a claim seldom waits for a handshake.
	warmConns = 2
	poolSize  = 64
)

// client makes the client of a configuration; check sees every new connection before anything else is asked on it.
func (c *Config) client(logger *slog.Logger, check func(context.Context, *redis.Conn) error) (redis.UniversalClient, error) {
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	o := &redis.UniversalOptions{
		Addrs: c.Addresses, MasterName: c.Sentinel, IsClusterMode: c.Cluster, DB: c.DB, OnConnect: check,
		SentinelUsername: c.SentinelUsername, TLSConfig: tlsConfig,
		// One more attempt heals a connection that died while it was idle; a claim may be sent twice, since its holder knows itself.
		MaxRetries: 1, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: 5 * time.Millisecond,
		ContextTimeoutEnabled: true, ReadTimeout: c.timeout(), WriteTimeout: c.timeout(), PoolTimeout: c.timeout(),
		DialTimeout: dialTimeout, DialerRetries: 1, ConnMaxLifetime: connLifetime, MinIdleConns: warmConns, PoolSize: poolSize,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if c.Password != "" {
		// Read at each connection, so that a replaced file acts without a reload.
		o.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := c.Password.Resolve()
			return c.Username, password, permanent(err)
		}
	}
	if c.SentinelPassword != "" {
		if o.SentinelPassword, err = c.SentinelPassword.Resolve(); err != nil {
			return nil, fmt.Errorf("sentinel_password: %w", err)
		}
	}
	libraryLog.Do(func() { redis.SetLogger(quietLog{logger}) })
	return redis.NewUniversalClient(o), nil
}

// tls is nil where the connection is plain.
func (c *Config) tls() (*tls.Config, error) {
	if !c.TLS && c.CA == "" && c.ServerName == "" && c.Certificate == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate, expected PEM", c.CA)
		}
	}
	if c.Certificate != "" {
		if _, err := tls.LoadX509KeyPair(c.Certificate, c.KeyFile); err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		// Read at each handshake, so that a renewed one acts without a reload.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.Certificate, c.KeyFile)
			return &pair, err
		}
	}
	return t, nil
}

// permanentError is one that waiting doesn't cure.
type permanentError struct{ error }

// Unwrap gives the cause.
func (e permanentError) Unwrap() error { return e.error }

func permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// isPermanent tells what an operator has to repair from a server that is away or not ready.
func isPermanent(err error) bool {
	var own permanentError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	if errors.As(err, &own) || errors.As(err, &certificate) || errors.As(err, &alert) {
		return true
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	return !redis.IsLoadingError(err) && !redis.IsReadOnlyError(err) && !redis.IsClusterDownError(err) && !redis.IsTryAgainError(err) &&
		!redis.IsMasterDownError(err) && !errors.Is(err, redis.Nil)
}

// libraryLog sets the library's logger, which is one for the process, once.
var libraryLog sync.Once

// quietLog takes what the library says by itself: each failure is told by the store too, once.
type quietLog struct{ logger *slog.Logger }

// Printf implements the library's logger.
func (l quietLog) Printf(ctx context.Context, format string, v ...any) {
	l.logger.DebugContext(ctx, "redis client", slog.String("message", fmt.Sprintf(format, v...)))
}
