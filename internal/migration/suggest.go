package migration

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// SuggestOptions bound what is suggested. The zero value suggests all that is sound.
type SuggestOptions struct {
	// Owners, where set, are the names and ids of repositories or owners whose runs count; others are left out silently.
	Owners []string
	// Weak also suggests what a policy refuses by default: runs that pull requests and the like have started.
	Weak bool
	// Shared suggests policies with exclusive: false, for a time in which passwords go on working.
	Shared bool
	// Present are the policies of now, if any: what they allow needs no policy, and their names are taken.
	Present *policies.Set
	// Providers maps issuers to providers, for events of before the audit named the provider.
	Providers map[string]string
}

// Left is a run that no policy is suggested for.
type Left struct {
	// Repository is the run's, Package what it would have published; empty at an exchange that names none.
	Repository, Package string
	// Reason says why, Count how often.
	Reason string
	Count  int
}

// Suggestion is what the audit's denials ask for.
type Suggestion struct {
	Files []File
	Left  []Left
}

// Suggester collects events.
type Suggester struct {
	opts SuggestOptions
	seen map[string]bool
	all  []observation
	left map[Left]int
}

// NewSuggester makes one.
func NewSuggester(opts SuggestOptions) *Suggester {
	return &Suggester{opts: opts, seen: map[string]bool{}, left: map[Left]int{}}
}

// Add takes an event of the audit, in any order.
func (s *Suggester) Add(event model.Event) {
	if s.exchange(event) {
		return
	}
	o, ok := observe(event, s.opts.Providers)
	if !ok || s.seen[event.ID] || !o.ofOwner(s.opts.Owners) {
		return
	}
	if event.ID != "" {
		s.seen[event.ID] = true
	}
	if s.opts.Present != nil && s.opts.Present.Evaluate(o.id, o.target).Allow {
		return
	}
	s.all = append(s.all, o)
}

// exchange notes an exchange that was refused and does not say what for: it names no package, or not of which registry, so that no
// policy follows from it.
func (s *Suggester) exchange(event model.Event) bool {
	if event.Kind != model.EventDecision || event.Decision != "deny" || event.Code != model.CodeNoMatchingPolicy {
		return false
	}
	var pkg string
	reason := "it was refused at the exchange, which names no package: write its policy by hand, or import it"
	if event.Target != nil {
		if event.Target.Registry != "" {
			return false
		}
		pkg, reason = event.Target.Package, "it was refused at the exchange for several registries, and does not say for which: write its policy by hand, or import it"
	}
	prov, id := identityOf(event, s.opts.Providers)
	if id == nil {
		return true
	}
	o := observation{event: event, prov: prov, id: id}
	if o.ofOwner(s.opts.Owners) && !s.seen[event.ID] && !s.exchanges(id) {
		s.seen[event.ID] = event.ID != ""
		s.left[Left{Repository: o.repository(), Package: pkg, Reason: reason}]++
	}
	return true
}

// exchanges is true where a policy of now allows an identity's exchange for some registry.
func (s *Suggester) exchanges(id *model.Identity) bool {
	if s.opts.Present == nil {
		return false
	}
	for _, p := range s.opts.Present.Policies() {
		for _, g := range p.Grants() {
			if s.opts.Present.Evaluate(id, model.Target{Ecosystem: g.Ecosystem, Registry: g.Registry}).Allow {
				return true
			}
		}
	}
	return false
}

// group are the observations that one policy covers.
type group struct {
	repository string
	shape      *shape
	all        []*observation
	// problem is why the policy would not load; such a group is left out.
	problem error
}

// Suggest makes the files, one for each repository, and proves them: they load together, allow every run that they come from,
// and none of those that were left out. An error means that this does not hold, which is a defect.
func (s *Suggester) Suggest() (*Suggestion, error) {
	groups := map[string]*group{}
	left := maps.Clone(s.left)
	var refused []*observation
	for i := range s.all {
		o := &s.all[i]
		shape, err := o.shape()
		if err == nil && len(shape.events) > 0 && !s.opts.Weak {
			err = fmt.Errorf("started by %s, which policies refuse by default since such a run may hold a stranger's code; --weak suggests it all the same", shape.events[0])
		}
		if err != nil {
			left[Left{Repository: o.repository(), Package: o.target.Package, Reason: err.Error()}]++
			refused = append(refused, o)
			continue
		}
		key := o.id.Issuer + " " + o.repository() + " " + shape.key()
		if groups[key] == nil {
			groups[key] = &group{repository: o.repository(), shape: shape}
			groups[key].problem = s.loads(o, shape)
		}
		if groups[key].problem != nil {
			left[Left{Repository: o.repository(), Package: o.target.Package, Reason: groups[key].problem.Error()}]++
			refused = append(refused, o)
			continue
		}
		groups[key].all = append(groups[key].all, o)
	}
	maps.DeleteFunc(groups, func(_ string, g *group) bool { return g.problem != nil })
	out := &Suggestion{Left: sortedLeft(left)}
	out.Files = s.files(slices.Collect(maps.Values(groups)))
	return out, s.prove(out.Files, groups, refused)
}

func sortedLeft(left map[Left]int) []Left {
	list := make([]Left, 0, len(left))
	for one, count := range left {
		one.Count = count
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Left) int {
		return strings.Compare(a.Repository+"\x00"+a.Package+"\x00"+a.Reason, b.Repository+"\x00"+b.Package+"\x00"+b.Reason)
	})
	return list
}

// files puts groups into files, a repository of an issuer each.
func (s *Suggester) files(groups []*group) []File {
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.order(), b.order()) })
	names, fileNames := namer{}, namer{}
	if s.opts.Present != nil {
		for _, name := range s.opts.Present.Names() {
			names[name] = true
		}
	}
	var files []File
	at := map[string]int{}
	for _, g := range groups {
		key := g.all[0].id.Issuer + " " + g.repository
		n, ok := at[key]
		if !ok {
			n = len(files)
			at[key] = n
			files = append(files, File{Name: fileNames.fileName(g.repository), Comments: []string{
				"Suggested from the audit by trustpub policy suggest.",
				"Each policy allows what was seen and no more. Read it before you merge it.",
			}})
		}
		files[n].Drafts = append(files[n].Drafts, g.drafts(names, s.opts.Shared)...)
	}
	return files
}

// order sorts groups by issuer, repository and shape.
func (g *group) order() string {
	return g.repository + "\x00" + g.all[0].id.Issuer + "\x00" + g.shape.key()
}

// drafts are the policies of a group: one, or one for each set of registries that share packages and actions.
func (g *group) drafts(names namer, shared bool) []Draft {
	type grant struct{ packages, actions string }
	packages, actions := map[string][]string{}, map[string][]model.Action{}
	for _, o := range g.all {
		r := o.target.Registry
		packages[r] = append(packages[r], o.target.Package)
		actions[r] = append(actions[r], o.target.Action)
	}
	byGrant := map[grant][]string{}
	for r := range packages {
		packages[r], actions[r] = sorted(packages[r]), sorted(actions[r])
		key := grant{fmt.Sprint(packages[r]), fmt.Sprint(actions[r])}
		byGrant[key] = append(byGrant[key], r)
	}
	var drafts []Draft
	for _, registries := range byGrant {
		registries = sorted(registries)
		drafts = append(drafts, Draft{
			Registries: registries, Packages: packages[registries[0]], Actions: actions[registries[0]],
			Issuer: g.all[0].id.Issuer, Provider: g.all[0].prov.Name, Publisher: g.shape.publisher,
			Events: g.shape.events, Tag: g.shape.tag, Unpinned: g.shape.unpinned, Shared: shared,
			Comments: g.comments(registries),
		})
	}
	slices.SortFunc(drafts, func(a, b Draft) int { return slices.Compare(a.Registries, b.Registries) })
	for i := range drafts {
		drafts[i].Name = names.take(slug(g.repository))
	}
	return drafts
}

// sorted is the list in order, each item once.
func sorted[T ~string](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// comments say what was seen of a group in some registries, and what is to be known about it.
func (g *group) comments(registries []string) []string {
	seen := map[string][]*observation{}
	beside := false
	for _, o := range g.all {
		if slices.Contains(registries, o.target.Registry) {
			seen[o.target.Package] = append(seen[o.target.Package], o)
			beside = beside || o.beside
		}
	}
	var lines []string
	for _, pkg := range slices.Sorted(maps.Keys(seen)) {
		lines = append(lines, describe(pkg, seen[pkg]))
	}
	if !beside {
		lines = append(lines, "CHECK: seen only in publishes that were refused, and anyone may try. Is this repository yours?")
	}
	return append(lines, g.shape.notes...)
}

// describe says how often and when a package was seen, in which versions and by which tags.
func describe(pkg string, all []*observation) string {
	var when span
	var versions, tags []string
	beside := 0
	for _, o := range all {
		when.add(o.event.Time)
		if o.beside {
			beside++
		}
		versions = append(versions, o.target.Version)
		if tag, ok := o.prov.TagOf(o.id.Claims); ok {
			tags = append(tags, tag)
		}
	}
	parts := []string{counted(when.count, "request")}
	if list := shown(versions); list != "" {
		parts = append(parts, "versions "+list)
	}
	if list := shown(tags); list != "" {
		parts = append(parts, "tags "+list)
	}
	parts = append(parts, when.String())
	text := pkg + ": " + strings.Join(parts, ", ")
	if beside > 0 {
		text += fmt.Sprintf("; %d beside a password", beside)
	}
	if refused := when.count - beside; refused > 0 {
		text += fmt.Sprintf("; %d refused", refused)
	}
	return text + "."
}

// shown lists texts, a few of them.
func shown(list []string) string {
	const most = 5
	list = slices.DeleteFunc(sorted(list), func(s string) bool { return s == "" })
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
