// Package loopback gives ports of the loopback to servers that are started later, by tests and by the bench: a port that is found
// by listening and closing may belong to another process by the time that it is used.
package loopback

import (
	"fmt"
	"net"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Port is a port that stays ours until it is released, or the process ends. Nothing listens on it: a connection is refused, until a server
// that we start listens there, which may come and go.
type Port struct {
	// Number of the port.
	Number int

	fd      int
	release sync.Once
}

// Hold takes a port of 127.0.0.1. The socket is bound and never listens. The system gives its port to no connection and to nobody
// who asks for any port, and yet a server may listen on it that sets SO_REUSEADDR or SO_REUSEPORT, as all servers do.
func Hold() (*Port, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a loopback port: %w", err)
	}
	number, err := bind(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("a loopback port: %w", err)
	}
	return &Port{Number: number, fd: fd}, nil
}

func bind(fd int) (int, error) {
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return 0, err
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return name.(*unix.SockaddrInet4).Port, nil
}

// Addr is the host and port.
func (p *Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Release gives the port back to the system.
func (p *Port) Release() { p.release.Do(func() { _ = unix.Close(p.fd) }) }
