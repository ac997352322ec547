package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/trustpub/trustpub/internal/doctor"
)

// heard takes, in the doctor's process, what the configured logs would have written, by the name of the log: each log keeps its
// filters and its format, so that they are looked at as they work, and no file of a gateway that runs is opened.
type heard struct {
	mu    sync.Mutex
	lines map[string]*strings.Builder
}

// earName is the output of a log that is heard. It exists in the doctor's process only.
const earName = "trustpub_doctor"

// maxHeard bounds what is kept of a log, in bytes.
const maxHeard = 1 << 20

// ear is the writer of a log.
type ear struct {
	heard *heard
	Log   string `json:"log"`
}

// CaddyModule returns the Caddy module information.
func (e *ear) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers." + earName, New: func() caddy.Module { return &ear{heard: e.heard} }}
}

func (e *ear) String() string { return earName + ":" + e.Log }

// WriterKey tells the logs apart.
func (e *ear) WriterKey() string { return e.String() }

// OpenWriter opens nothing.
func (e *ear) OpenWriter() (io.WriteCloser, error) { return e, nil }

// Write keeps a line.
func (e *ear) Write(line []byte) (int, error) {
	e.heard.mu.Lock()
	defer e.heard.mu.Unlock()
	log := e.heard.lines[e.Log]
	if log == nil {
		log = new(strings.Builder)
		e.heard.lines[e.Log] = log
	}
	if log.Len()+len(line) <= maxHeard {
		log.Write(line)
	}
	return len(line), nil
}

// Close closes nothing.
func (e *ear) Close() error { return nil }

// with names the logs that have a text.
func (h *heard) with(text string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, log := range h.lines {
		if strings.Contains(log.String(), text) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// warnings are what a log in JSON was warned of, each once.
func (h *heard) warnings(log string) []caddyconfig.Warning {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lines[log] == nil {
		return nil
	}
	var all []caddyconfig.Warning
	for line := range strings.Lines(h.lines[log].String()) {
		var said struct {
			Level   string `json:"level"`
			Message string `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &said) != nil || said.Level != "warn" && said.Level != "error" {
			continue
		}
		if w := (caddyconfig.Warning{Message: said.Message}); !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
}

// redirect replaces the writers of all logs of a configuration, and gives the files that they would have written to, by log.
func (h *heard) redirect(config map[string]json.RawMessage) (files map[string]string, err error) {
	var logging struct {
		Logs map[string]map[string]json.RawMessage `json:"logs"`
	}
	if raw, there := config["logging"]; there {
		if err := json.Unmarshal(raw, &logging); err != nil {
			return nil, fmt.Errorf("logging: %w", err)
		}
	}
	if logging.Logs == nil {
		logging.Logs = map[string]map[string]json.RawMessage{}
	}
	if logging.Logs[caddy.DefaultLoggerName] == nil {
		logging.Logs[caddy.DefaultLoggerName] = map[string]json.RawMessage{}
	}
	files = map[string]string{}
	for name, log := range logging.Logs {
		var writer struct {
			Output   string `json:"output"`
			Filename string `json:"filename"`
		}
		if raw, there := log["writer"]; there {
			if err := json.Unmarshal(raw, &writer); err != nil {
				return nil, fmt.Errorf("logging: log %s: writer: %w", name, err)
			}
		}
		switch writer.Output {
		case "discard":
			continue
		case "file":
			files[name] = caddy.NewReplacer().ReplaceAll(writer.Filename, "")
		}
		if log["writer"], err = json.Marshal(map[string]string{"output": earName, "log": name}); err != nil {
			return nil, err
		}
		delete(log, "core")     // which writes elsewhere
		delete(log, "sampling") // which would lose the one line
	}
	config["logging"], err = json.Marshal(logging) // without the sink, which is for libraries
	return files, err
}

// logCheck sends requests with a mark in every header that may hold a credential through a site, one that is answered and one whose
// registry is away, and looks for the marks in the logs.
func (x *examination) logCheck(r *Registry) doctor.Check {
	c := doctor.Check{Area: "logs", Subject: r.Name, What: "no log shows a credential"}
	c.Run = func(ctx context.Context) []doctor.Finding {
		server, err := x.serverOf(r)
		if err != nil {
			return []doctor.Finding{{Status: doctor.Skip, Message: err.Error()}}
		}
		names := append(shownHeaders([]Registry{*r}), slices.Collect(maps.Keys(redacted))...)
		marks := func(word string) http.Header {
			marked := http.Header{}
			for _, name := range names {
				marked.Set(name, "mark-"+word+"-"+r.Name+"-"+name+"-end")
			}
			return marked
		}
		answered, failed := marks("answered"), marks("failed")
		q := &inquiry{registry: r.Name, instead: func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}}
		if _, err := q.ask(ctx, server, r.public.String(), answered); err != nil {
			return []doctor.Finding{{Status: doctor.Skip, Message: "whether a log shows a credential: " + err.Error()}}
		}
		shown := x.shown(answered)
		found := judgeLogs(r, shown, "")
		if server.Errors == nil || len(server.Errors.Routes) == 0 { // else they would be asked, wherever they lead
			q.instead = func(http.ResponseWriter) error {
				return caddyhttp.Error(http.StatusBadGateway, errors.New("as where a registry is away"))
			}
			if _, err := q.ask(ctx, server, r.public.String(), failed); err == nil {
				more := x.shown(failed)
				maps.DeleteFunc(more, func(log string, _ []string) bool { return shown[log] != nil })
				found = append(found, judgeLogs(r, more, " of requests that a registry does not answer")...)
			}
		}
		if len(found) == 0 {
			found = append(found, doctor.Finding{Status: doctor.OK, Message: "no log shows a header in which a client sends a credential"})
		}
		return found
	}
	return c
}

// shown are the headers whose marks were heard, by log.
func (x *examination) shown(marks http.Header) map[string][]string {
	shown := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		for _, log := range x.heard.with(marks.Get(name)) {
			shown[log] = append(shown[log], name)
		}
	}
	return shown
}

// judgeLogs makes findings of it. The headers of the registry's own clients, and those that Caddy hides by itself, are
// worse than those of other registries' clients, and the access log is worse than one of errors.
func judgeLogs(r *Registry, shown map[string][]string, of string) []doctor.Finding {
	own := append(r.resolved.Ecosystem.Carriers(), slices.Collect(maps.Keys(redacted))...)
	for i := range own {
		own[i] = http.CanonicalHeaderKey(own[i])
	}
	var found []doctor.Finding
	for _, log := range slices.Sorted(maps.Keys(shown)) {
		f := doctor.Finding{
			Status: doctor.Warn, Help: logHelp,
			Message: fmt.Sprintf("the log %s shows headers%s in which clients of one registry or another send credentials: %s", log, of, strings.Join(shown[log], ", ")),
		}
		if bad := slices.DeleteFunc(slices.Clone(shown[log]), func(h string) bool { return !slices.Contains(own, h) }); len(bad) > 0 {
			f.Message = fmt.Sprintf("the log %s shows %s%s, in which clients of this registry send credentials", log, strings.Join(bad, ", "), of)
			if of == "" {
				f.Status = doctor.Fail
			}
		}
		if slices.ContainsFunc(shown[log], func(h string) bool { return redacted[h] }) {
			f.Help = "remove log_credentials, and " + logHelp
		}
		found = append(found, f)
	}
	return found
}

// logHelp is the remedy of docs/operations.md.
const logHelp = `give the log "format filter" with "request>headers>NAME delete" for each (docs/operations.md, Logs)`

var _ caddy.WriterOpener = (*ear)(nil)
