package model

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// maxSecret bounds a secret file, in bytes.
const maxSecret = 64 << 10

// settled is how old a file must have been when it was read, so that no later write can have the same time of change on any file system.
const settled = 5 * time.Second

// secretFiles remembers, by path, what secret files hold. A credential for each request then costs one look at the file instead of
// opening and reading it, and a file that was changed or replaced is read anew.
var secretFiles sync.Map

// secretFile is one that was read.
type secretFile struct {
	info  fs.FileInfo // of before the read
	read  time.Time
	value string
}

// still is true where the file of now is certainly the one that was read.
func (f *secretFile) still(now fs.FileInfo) bool {
	return os.SameFile(f.info, now) && f.info.Size() == now.Size() && f.info.ModTime().Equal(now.ModTime()) &&
		f.read.Sub(now.ModTime()) > settled
}

// readSecret returns what the file holds now, without a line break at its end.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if known, ok := secretFiles.Load(path); ok && known.(*secretFile).still(info) {
		return known.(*secretFile).value, nil
	}
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("larger than %d bytes", maxSecret)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	secretFiles.Store(path, &secretFile{info, began, value})
	return value, nil
}
