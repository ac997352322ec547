package main

import (
	"context"
	"encoding/base64"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	connections = 64
	readPath    = "/index/+simple/widget/"
	uploadPath  = "/index/"
	million     = 1_000_000
)

// rows are all that is measured.
var rows = []row{
	{
		name: "read, known token, 64 connections", unit: "/s", base: plain, goal: "speed >= 0.95, processor <= 1.08",
		trials: onAll(steady(func(r *rig, s *side) request { return r.read(s, r.token(s)) })),
	},
	{
		name: "small upload, known token, 64 connections", unit: "/s", base: plain, goal: "speed >= 0.95, processor <= 1.08",
		trials: onAll(steady(func(r *rig, s *side) request { return r.upload(s, r.token(s)) })),
	},
	{
		name: "read, a new token each", unit: "/s", base: plain, goal: "speed >= 0.60",
		trials: on(fresh(http.StatusOK, (*rig).read), gateway, plain),
	},
	{
		name: "small upload, a new token each", unit: "/s", base: plain, goal: "speed >= 0.60",
		trials: on(fresh(http.StatusOK, (*rig).upload), gateway, plain),
	},
	{
		name: "small upload, a new token each, local store and synced audit", unit: "/s", goal: ">= 500/s, or half of the disk's syncs with batches",
		trials: func(*rig) []trial {
			return []trial{{durable, durable, fresh(http.StatusOK, (*rig).upload)}, {"syncs of this disk, one after the other", "", syncs}}
		},
	},
	{
		name: "wheel of 200 MB with SHA-256", unit: "MB/s", base: plain, goal: "speed >= 0.50",
		trials: onAll(large(1, wheelOf(200*million, noise))),
	},
	{
		name: "wheel of 200 MB with SHA-256, where a core is free", unit: "MB/s", base: plain, goal: "speed >= 0.80",
		trials: on(paced(wheelOf(200*million, noise)), gateway, plain),
	},
	{
		name: "8 wheels of 200 MB with SHA-256", unit: "MB/s", base: plain, goal: "speed >= 0.50",
		trials: onAll(large(8, wheelOf(200*million, noise))),
	},
	{
		name: "wheel of 200 MB " + undigestedRows, unit: "MB/s", base: plain, goal: "speed >= 0.88",
		trials: on(large(1, wheelOf(200*million, noise)), undigested, plain),
	},
	{
		name: "8 wheels of 200 MB " + undigestedRows, unit: "MB/s", base: plain, goal: "speed >= 0.95",
		trials: on(large(8, wheelOf(200*million, noise)), undigested, plain),
	},
	{
		name: "npm document of 100 MB with two digests", unit: "MB/s", base: plain, goal: "speed >= 0.80",
		trials: onAll(large(1, moduleOf(100*million))),
	},
	{
		name: "wheel of 64 MB that looks like boundaries", unit: "MB/s", base: "random", goal: "speed >= 0.10",
		trials: bodies(map[string]content{
			"random": wheelOf(64*million, noise), "line breaks and hyphens": wheelOf(64*million, strings.Repeat("\r\n--", 1<<18)),
			"hyphens": wheelOf(64*million, strings.Repeat("-", 1<<20)),
		}),
	},
	{
		name: "npm document of 16 MB", unit: "MB/s", base: "archive", goal: "speed >= 0.10",
		trials: bodies(map[string]content{
			"archive": moduleOf(16 * million), "deep": moduleWith(16*million, strings.Repeat("[", 50)+strings.Repeat("]", 50)+","),
			"many small objects": moduleWith(16*million, `{"a":0,"b":{}},`), "escapes": moduleWith(16*million, `"`+strings.Repeat(`\u0041\ud83d\ude00`, 40)+`",`),
			"numbers": moduleWith(16*million, "0,"),
		}),
	},
	{
		name: "read, " + crowdedRows, unit: "/s", base: gateway, goal: "processor <= 1.03",
		trials: on(steady(func(r *rig, s *side) request { return r.read(s, r.token(s)) }), crowded, gateway),
	},
	{
		name: "slowest read in 3 s, " + crowdedRows + ", two loads of them meanwhile", unit: "ms", base: "nothing loaded", goal: "no request waits for a load",
		trials: func(*rig) []trial {
			return []trial{{"loading", crowded, slowest(true)}, {"nothing loaded", crowded, slowest(false)}}
		},
	},
	{
		name: "start with " + crowdedRows, unit: "s", base: plain, goal: "<= 2 s", difference: true,
		trials: func(*rig) []trial {
			return []trial{{crowded, crowded, started}, {plain, plain, started}}
		},
	},
	{
		name: "wheel of 2 MB in chunks of one byte", unit: "MB/s", base: plain, goal: "speed >= 0.10",
		trials: on(chunked, gateway, plain),
	},
	{
		name: "read, forged signature", unit: "/s", base: "accepted, a new token each", goal: "processor <= 1.2",
		trials: func(*rig) []trial {
			return []trial{{"rejected", gateway, forged}, {"accepted, a new token each", gateway, fresh(http.StatusOK, (*rig).read)}}
		},
	},
	{
		name: "200 tokens of unknown keys at once", unit: "fetches of keys", goal: "<= 1",
		trials: func(*rig) []trial { return []trial{{gateway, gateway, unknownKeys}} },
	},
	{
		name: "memory: wheel of 2 GB", unit: "MiB more", base: plain, goal: "<= 4 MiB", difference: true, fresh: true,
		trials: on(grows(large(1, wheelOf(2000*million, noise))), gateway, plain),
	},
	{
		name: "memory: 8 wheels of 200 MB", unit: "MiB more", base: plain, goal: "<= 4 MiB", difference: true, fresh: true,
		trials: on(grows(large(8, wheelOf(200*million, noise))), gateway, plain),
	},
	{
		name: "memory: npm document of 100 MB", unit: "MiB more", base: plain, goal: "<= 1 MiB", difference: true, fresh: true,
		trials: on(grows(large(1, moduleOf(100*million))), gateway, plain),
	},
	{
		name: "memory: each of 1,000 stalled uploads", unit: "kB", base: plain, goal: "<= 80 kB", difference: true, fresh: true,
		trials: on(stalled, gateway, plain),
	},
}

// noise is a file that can't be compressed, which is repeated.
var noise = func() string {
	b := make([]byte, million)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}()

type work = func(context.Context, *rig, *side) (outcome, error)

// on does the same on some sides.
func on(do work, sides ...string) func(*rig) []trial {
	return func(*rig) (out []trial) {
		for _, name := range sides {
			out = append(out, trial{name, name, do})
		}
		return out
	}
}

// onAll does the same on all sides that are compared with plain.
func onAll(do work) func(*rig) []trial {
	return func(r *rig) []trial {
		sides := []string{gateway, plain}
		for _, e := range r.extra {
			sides = append(sides, e.name)
		}
		return on(do, sides...)(r)
	}
}

// bodies sends bodies of several kinds to the gateway.
func bodies(kinds map[string]content) func(*rig) []trial {
	return func(*rig) (out []trial) {
		for _, label := range slices.Sorted(maps.Keys(kinds)) {
			out = append(out, trial{label, gateway, large(1, kinds[label])})
		}
		return out
	}
}

// steady sends one request again and again.
func steady(make func(*rig, *side) request) work {
	return func(ctx context.Context, r *rig, s *side) (outcome, error) {
		one := make(r, s)
		began := time.Now()
		n, err := crowd(ctx, s.addr, connections, http.StatusOK, until(r.opts.duration, one))
		return outcome{units: float64(n), elapsed: time.Since(began)}, err
	}
}

// fresh sends requests with tokens that were never seen before.
func fresh(status int, make func(*rig, *side, string) request) work {
	return func(ctx context.Context, r *rig, s *side) (outcome, error) {
		var requests []request
		for range r.opts.tokens {
			requests = append(requests, make(r, s, r.token(s)))
		}
		return r.answeredAll(ctx, s, status, requests)
	}
}

func (r *rig) answeredAll(ctx context.Context, s *side, status int, requests []request) (outcome, error) {
	began := time.Now()
	n, err := crowd(ctx, s.addr, connections, status, each(requests))
	return outcome{units: float64(n), elapsed: time.Since(began)}, err
}

// forged sends tokens with signatures of which each is wrong in another place.
func forged(ctx context.Context, r *rig, s *side) (outcome, error) {
	token := r.token(s)
	at := strings.LastIndexByte(token, '.')
	head := token[:at]
	raw, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil {
		return outcome{}, err
	}
	var requests []request
	for i := range r.opts.tokens {
		raw[len(raw)-1-i%200] ^= byte(1 + i%255)
		requests = append(requests, r.read(s, head+"."+base64.RawURLEncoding.EncodeToString(raw)))
	}
	return r.answeredAll(ctx, s, http.StatusUnauthorized, requests)
}

// unknownKeys counts what tokens of keys that the issuer does not have make the gateway fetch.
func unknownKeys(ctx context.Context, r *rig, s *side) (outcome, error) {
	var requests []request
	for i := range 200 {
		requests = append(requests, r.read(s, r.strange(s, i)))
	}
	before := r.issuer.KeyFetches()
	_, err := r.answeredAll(ctx, s, refused, requests)
	return outcome{value: float64(r.issuer.KeyFetches() - before)}, err
}

// large sends a large body on so many connections at once.
func large(streams int, what content) work {
	return func(ctx context.Context, r *rig, s *side) (outcome, error) {
		head, body, size := what(r, s)
		began := time.Now()
		var wait sync.WaitGroup
		errs := make([]error, streams)
		for i := range streams {
			wait.Go(func() { errs[i] = transfer(ctx, s.addr, head, body()) })
		}
		wait.Wait()
		for _, err := range errs {
			if err != nil {
				return outcome{}, err
			}
		}
		return outcome{units: float64(streams) * float64(size) / million, elapsed: time.Since(began)}, nil
	}
}

// syncs appends to a file and waits for the disk each time.
func syncs(_ context.Context, r *rig, _ *side) (outcome, error) {
	f, err := os.CreateTemp(r.dir, "sync-*")
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = f.Close() }()
	n, began := 0, time.Now()
	for ; time.Since(began) < r.opts.duration; n++ {
		if _, err := f.Write(answer); err != nil {
			return outcome{}, err
		}
		if err := f.Sync(); err != nil {
			return outcome{}, err
		}
	}
	return outcome{units: float64(n), elapsed: time.Since(began)}, nil
}
