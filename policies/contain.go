package policies

// CoversPattern is true where everything that the pattern or name narrow stands for is also what the pattern or name wide
// stands for. It may be false where only the shape of both would tell.
func CoversPattern(wide, narrow string) bool {
	if wide == narrow {
		return true
	}
	if !isGlob(wide) {
		return false
	}
	g, err := newGlob(wide)
	// A star of narrow can only be taken by a star of wide, and so can whatever it stands for.
	return err == nil && g.match(narrow)
}
