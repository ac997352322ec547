package policies

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lists of a slab never share an element, whatever is appended to one of them, and more than the slab expects is no harm.
func TestSlab(t *testing.T) {
	s := slab[int]{size: 4}
	a := s.copy([]int{1, 2})
	b := s.add(nil, 3)
	a = append(a, 4)
	b = s.add(b, 5)
	c := s.take(maxSlab + 1)
	d := s.copy(nil)
	e := s.add(nil, 6)
	for i := range c {
		c[i] = 7
	}
	if diff := cmp.Diff([][]int{{1, 2, 4}, {3, 5}, nil, {6}}, [][]int{a, b, d, e}); diff != "" {
		t.Error(diff)
	}
	if len(c) != maxSlab+1 || cap(c) != len(c) {
		t.Errorf("%d of %d, want %d", len(c), cap(c), maxSlab+1)
	}
}

// A set of few policies takes no room for many.
func TestSlabOfFew(t *testing.T) {
	s := slab[Policy]{size: 3}
	if s.take(1); cap(s.free) != 2 {
		t.Errorf("room for %d more, want 2", cap(s.free))
	}
}
