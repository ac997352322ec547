package policies

// maxSlab bounds the room that is made at once.
const maxSlab = 256

// slab hands out small lists that lie side by side. Many policies are then few pieces of memory, which a collection of what is not
// used any more looks at one by one. Its size is the number that is expected, so that few policies take no more than they need.
type slab[T any] struct {
	size int
	free []T
}

// take gives n zero values, which are the caller's alone.
func (s *slab[T]) take(n int) []T {
	if n == 0 {
		return nil
	}
	if n > len(s.free) {
		s.free = make([]T, max(n, min(s.size, maxSlab)))
	}
	list := s.free[:n:n]
	s.free = s.free[n:]
	return list
}

// copy moves a list into the slab.
func (s *slab[T]) copy(list []T) []T {
	out := s.take(len(list))
	copy(out, list)
	return out
}

// add is append, where most lists stay at one.
func (s *slab[T]) add(list []T, v T) []T {
	if len(list) > 0 {
		return append(list, v)
	}
	one := s.take(1)
	one[0] = v
	return one
}

// compilerRoom are the pieces of policies, side by side.
type compilerRoom struct {
	policies slab[Policy]
	values   slab[value]
	matches  slab[match]
	grants   slab[grant]
	texts    slab[string]
	kinds    slab[packageKind]
	marks    slab[mark]
}

// expect makes room for so many policies of the usual form.
func (r *compilerRoom) expect(n int) {
	r.policies.size, r.grants.size, r.texts.size, r.kinds.size = n, n, n, n
	r.values.size, r.matches.size, r.marks.size = 4*n, 4*n, 4*n
}
