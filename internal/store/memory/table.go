package memory

import (
	"container/heap"
	"time"
)

// table is a map whose entries end. The heap has one node per entry, ordered by end, so that sweeping costs nothing for
// entries that live.
type table[V any] struct {
	entries map[string]*entry[V]
	ends    *endHeap[V]
}

type entry[V any] struct {
	key   string
	value V
	until time.Time
	index int
}

func newTable[V any]() table[V] {
	return table[V]{entries: make(map[string]*entry[V]), ends: new(endHeap[V])}
}

// get returns the value of a key that has not ended; an entry ends at its very time.
func (t *table[V]) get(key string, now time.Time) (V, bool) {
	e, ok := t.entries[key]
	if !ok || !e.until.After(now) {
		var none V
		return none, false
	}
	return e.value, true
}

// put sets a value; an entry that lives keeps the later end.
func (t *table[V]) put(key string, value V, until, now time.Time) {
	e, ok := t.entries[key]
	if !ok {
		e = &entry[V]{key: key, value: value, until: until}
		t.entries[key] = e
		heap.Push(t.ends, e)
		return
	}
	if e.until.After(now) && e.until.After(until) {
		until = e.until
	}
	e.value, e.until = value, until
	heap.Fix(t.ends, e.index)
}

// sweep removes up to limit entries that have ended.
func (t *table[V]) sweep(now time.Time, limit int) {
	for range limit {
		if len(*t.ends) == 0 || (*t.ends)[0].until.After(now) {
			return
		}
		e, ok := heap.Pop(t.ends).(*entry[V])
		if !ok {
			return
		}
		delete(t.entries, e.key)
	}
}

// endHeap implements heap.Interface.
type endHeap[V any] []*entry[V]

var _ heap.Interface = (*endHeap[struct{}])(nil)

func (h endHeap[V]) Len() int           { return len(h) }
func (h endHeap[V]) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h endHeap[V]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *endHeap[V]) Push(x any) {
	e, ok := x.(*entry[V])
	if !ok {
		return
	}
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *endHeap[V]) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
