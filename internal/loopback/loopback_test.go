package loopback

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestHold: a port that is held is nobody's but a server's that asks for it by name, which may come and go.
func TestHold(t *testing.T) {
	held, err := Hold()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	refused := func() {
		t.Helper()
		conn, err := net.Dial("tcp", held.Addr())
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("a connection to a port that nobody listens on: %v", err)
		}
	}
	refused()
	for range 3 {
		for _, address := range []string{held.Addr(), ":" + held.Addr()[len("127.0.0.1:"):]} {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", held.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if accepted, err := l.Accept(); err != nil {
				t.Error(err)
			} else {
				accepted.Close()
			}
			conn.Close()
			l.Close()
			refused()
		}
	}
	var first int
	if first = held.Number; first == 0 {
		t.Fatal("no port")
	}
	// More than there are ports, if each were used once: none is that one.
	for range 3000 {
		other, err := Hold()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if other.Number == first || l.Addr().(*net.TCPAddr).Port == first || other.Number == l.Addr().(*net.TCPAddr).Port {
			t.Fatal("a port that is held was given to somebody else")
		}
		l.Close()
		other.Release()
	}
}
