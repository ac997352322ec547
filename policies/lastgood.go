package policies

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// stored is the form in which the last good files are kept.
type stored struct {
	Version int          `json:"version"`
	Files   []storedFile `json:"files"`
}

// storedFile is one file as it was when it last compiled.
type storedFile struct {
	Path string `json:"path"`
	Data string `json:"data"`
}

const storedVersion = 1

// assemble makes a set of the best version of each file: the settled one where it compiles and takes no name of another
// file, else the last good one. A file that does not change keeps its names, so that another cannot push it out.
func (w *Watcher) assemble() (*Set, LoadReport) {
	report := LoadReport{Time: w.opts.Now(), Errors: slices.Clone(w.listing)}
	paths := slices.Sorted(maps.Keys(w.files))
	chosen, errs := w.choose(paths)
	report.Errors = append(report.Errors, errs...).sorted()
	files := make([]*compiled, 0, len(chosen))
	for _, path := range paths {
		c, f := chosen[path], w.files[path]
		if c == nil {
			continue
		}
		f.good = c
		files = append(files, c)
		if c != f.settled {
			report.Kept = append(report.Kept, path)
		}
	}
	report.Files = len(files)
	return newSet(w.env, files), report
}

// choose picks the version of each file that acts. The settled versions are tried all together first, as when a policy moved
// from one file to another; where names clash they are taken in one by one, as long as that makes room for a further one.
func (w *Watcher) choose(paths []string) (map[string]*compiled, Errors) {
	best := make(map[string]*compiled, len(paths))
	var errs Errors
	var fresh []string
	for _, path := range paths {
		f := w.files[path]
		switch {
		case f.settled == nil: // seen, and not rested yet
		case len(f.settled.errors) > 0:
			errs = append(errs, f.settled.errors...)
			best[path] = f.good
		default:
			best[path] = f.settled
			if f.settled != f.good {
				fresh = append(fresh, path)
			}
		}
	}
	names := nameTable{}
	if len(names.takeAll(paths, best)) == 0 {
		return best, errs
	}
	for _, path := range fresh {
		best[path] = w.files[path].good
	}
	names = nameTable{}
	errs = append(errs, names.takeAll(paths, best)...)
	for again := true; again; {
		again = false
		fresh = slices.DeleteFunc(fresh, func(path string) bool {
			f := w.files[path]
			if len(names.replace(best[path], f.settled)) > 0 {
				return false
			}
			best[path], again = f.settled, true
			return true
		})
	}
	for _, path := range fresh {
		errs = append(errs, names.replace(best[path], w.files[path].settled)...)
	}
	return best, errs
}

// nameTable knows whose policy has a name.
type nameTable map[string]*Policy

// takeAll enters the policies of all files; the errors are the names that two of them have.
func (t nameTable) takeAll(paths []string, files map[string]*compiled) Errors {
	var errs Errors
	for _, path := range paths {
		if c := files[path]; c != nil {
			errs = append(errs, t.replace(nil, c)...)
		}
	}
	return errs
}

// replace enters a file's policies in the place of an older version's; where a name is taken nothing changes.
func (t nameTable) replace(old, new *compiled) Errors {
	if old != nil {
		for _, p := range old.policies {
			delete(t, p.Name)
		}
	}
	var errs Errors
	for _, p := range new.policies {
		if have, taken := t[p.Name]; taken {
			errs = append(errs, p.twice(have))
		}
	}
	enter := new
	if len(errs) > 0 {
		enter = old
	}
	if enter != nil {
		for _, p := range enter.policies {
			t[p.Name] = p
		}
	}
	return errs
}

// apply makes a set the one that acts, reports it and keeps it.
func (w *Watcher) apply(ctx context.Context, set *Set, report LoadReport) {
	before := w.current.Load()
	last := w.Report()
	report.Hash, report.Policies = set.Hash(), set.Len()
	report.Generation = last.Generation
	if before == nil || before.Hash() != set.Hash() {
		report.Changed = true
		report.Generation++
		w.current.Store(set)
		w.unsaved = true
	}
	w.report.Store(&report)
	if w.unsaved {
		w.save(ctx)
		report.StoreError = w.storeFail
		w.report.Store(&report)
	}
	w.tell(report)
}

// tell logs a report and hands it on.
func (w *Watcher) tell(report LoadReport) {
	w.opts.Logger.Info("policies loaded", "hash", report.Hash, "files", report.Files, "policies", report.Policies,
		"changed", report.Changed, "errors", len(report.Errors))
	for i, e := range report.Errors {
		if i == maxShownErrors {
			break
		}
		w.opts.Logger.Error("policy file is broken", "error", e.Error(), "older_version_acts", slices.Contains(report.Kept, e.File))
	}
	if w.opts.OnLoad != nil {
		w.opts.OnLoad(report)
	}
}

// save keeps the last good version of every file; a failure is tried again.
func (w *Watcher) save(ctx context.Context) {
	if w.opts.LastGood == nil {
		w.unsaved = false
		return
	}
	kept := stored{Version: storedVersion}
	for path, f := range w.files {
		if f.good != nil {
			kept.Files = append(kept.Files, storedFile{Path: path, Data: f.good.data})
		}
	}
	slices.SortFunc(kept.Files, func(a, b storedFile) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	data, err := json.Marshal(kept)
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, storeTimeout)
		err = w.opts.LastGood.Store(limited, data)
		cancel()
	}
	if err != nil {
		w.storeFail = err.Error()
		w.retry = w.opts.Now().Add(storeRetry)
		w.opts.Logger.Error("the last good policies could not be kept; a restart with a broken file would fail", "error", err)
		return
	}
	w.storeFail, w.unsaved, w.retry = "", false, time.Time{}
}

// stored reads what was kept, by path; what of it no longer compiles is left out.
func (w *Watcher) stored(ctx context.Context) map[string]*compiled {
	if w.opts.LastGood == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	data, err := w.opts.LastGood.Load(limited)
	if err != nil || len(data) == 0 {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.opts.Logger.Warn("the last good policies could not be read", "error", err)
		}
		return nil
	}
	var kept stored
	if err := json.Unmarshal(data, &kept); err != nil || kept.Version != storedVersion {
		w.opts.Logger.Warn("the last good policies are not readable", "error", fmt.Sprint(err), "version", kept.Version)
		return nil
	}
	files := make([]file, len(kept.Files))
	for i, f := range kept.Files {
		files[i] = file{path: f.Path, data: f.Data, sum: sha256.Sum256([]byte(f.Data))}
	}
	out := make(map[string]*compiled, len(files))
	for _, c := range compileAll(files, w.env) {
		if len(c.errors) == 0 {
			out[c.path] = c
		}
	}
	return out
}
