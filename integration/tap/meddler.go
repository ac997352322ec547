package tap

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// Swap is a piece of a request that a Meddler puts another one of the same length in the place of.
type Swap struct{ Old, New []byte }

// Meddler is a hop between a client and the gateway that ends TLS on both sides, with the gateway's own certificate, and
// swaps bytes of what the client sends: what a broken or hostile proxy does. Answers pass as they are.
type Meddler struct {
	listener net.Listener
	target   string
	upstream *tls.Config
	swaps    []Swap
	wg       sync.WaitGroup
}

// StartMeddler listens on a free loopback port in front of target. swaps is asked with the port that it listens on.
func StartMeddler(certificate tls.Certificate, target string, upstream *tls.Config, swaps func(port int) []Swap) (*Meddler, error) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	m := &Meddler{listener: l, target: target, upstream: upstream, swaps: swaps(l.Addr().(*net.TCPAddr).Port)}
	m.wg.Add(1)
	go m.accept()
	return m, nil
}

// Port is where it listens.
func (m *Meddler) Port() int { return m.listener.Addr().(*net.TCPAddr).Port }

// Close stops listening and waits for the conversations under way.
func (m *Meddler) Close() {
	m.listener.Close()
	m.wg.Wait()
}

func (m *Meddler) accept() {
	defer m.wg.Done()
	for {
		client, err := m.listener.Accept()
		if err != nil {
			return
		}
		m.wg.Add(1)
		go m.relay(client)
	}
}

func (m *Meddler) relay(client net.Conn) {
	defer m.wg.Done()
	defer client.Close()
	server, err := tls.Dial("tcp", m.target, m.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	m.forward(server, client)
	_ = server.CloseWrite()
	<-back
}

// forward copies what the client sends. Bytes that may be the beginning of what is to be swapped wait for the next ones; no
// request ends with such bytes.
func (m *Meddler) forward(to io.Writer, from io.Reader) {
	var held []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		held = append(held, buf[:n]...)
		for _, s := range m.swaps {
			held = bytes.ReplaceAll(held, s.Old, s.New)
		}
		keep := m.begins(held)
		if err != nil {
			keep = 0
		}
		if _, werr := to.Write(held[:len(held)-keep]); werr != nil || err != nil {
			return
		}
		held = append([]byte(nil), held[len(held)-keep:]...)
	}
}

// begins is the length of the longest end of p with which something to be swapped begins.
func (m *Meddler) begins(p []byte) int {
	longest := 0
	for _, s := range m.swaps {
		for n := min(len(p), len(s.Old)-1); n > longest; n-- {
			if bytes.HasSuffix(p, s.Old[:n]) {
				longest = n
			}
		}
	}
	return longest
}
