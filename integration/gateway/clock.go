package gateway

import "time"

// ShiftClock sets the gateway's own clock ahead of the machine's, or behind it; zero sets it back.
func (g *Gateway) ShiftClock(by time.Duration) error { return g.proc.ShiftClock(by) }
