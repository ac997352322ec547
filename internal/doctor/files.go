package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File checks that a file can be written, or made where it is not there yet, without writing to it.
func File(area, subject, path string) Check {
	return Check{Area: area, Subject: subject, What: path + " can be written", Run: func(context.Context) []Finding {
		return []Finding{writable(path, false)}
	}}
}

// Folder checks that a folder can be written, or made where it is not there yet.
func Folder(area, subject, path string) Check {
	return Check{Area: area, Subject: subject, What: path + " can be written", Run: func(context.Context) []Finding {
		return []Finding{writable(path, true)}
	}}
}

// writable tries what can be tried without leaving anything behind.
func writable(path string, folder bool) Finding {
	const help = "give the gateway's user the folder, or configure a path where it may write"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return creatable(path, help)
	case err != nil:
		return failure(help, "%s can't be reached: %v", path, err)
	case folder && !info.IsDir():
		return failure(help, "%s is no folder", path)
	case !folder && !info.Mode().IsRegular():
		return failure(help, "%s is %s, expected a regular file", path, info.Mode().Type())
	}
	if f, others := othersFile(path, info, os.Geteuid()); others {
		return f
	}
	if folder {
		err = tryFolder(path)
	} else {
		err = tryFile(path)
	}
	if err != nil {
		return failure(help, "%s can't be written: %v", path, err)
	}
	return ok("%s can be written", path)
}

// creatable looks at the nearest folder that is there.
func creatable(path, help string) Finding {
	parent := filepath.Dir(path)
	for {
		info, err := os.Stat(parent)
		if errors.Is(err, fs.ErrNotExist) && parent != filepath.Dir(parent) {
			parent = filepath.Dir(parent)
			continue
		}
		switch {
		case err != nil:
			return failure(help, "%s can't be made: %v", path, err)
		case !info.IsDir():
			return failure(help, "%s can't be made: %s is no folder", path, parent)
		}
		if f, others := othersFile(parent, info, os.Geteuid()); others {
			return f
		}
		if err := tryFolder(parent); err != nil {
			return failure(help, "%s can't be made: %v", path, err)
		}
		return ok("%s is not there yet and can be made", path)
	}
}

// othersFile is the finding where root looks at what is somebody else's: root may write everywhere, so nothing is learned of the
// gateway's user.
func othersFile(path string, info fs.FileInfo, user int) (Finding, bool) {
	owner, known := ownerOf(info)
	if !known || user != 0 || owner == 0 {
		return Finding{}, false
	}
	return unproved("run the doctor as the gateway's user", "whether %s can be written: it belongs to the user %d, and root may write anything", path, owner), true
}

// tryFolder makes a file in a folder and removes it.
func tryFolder(path string) error {
	f, err := os.CreateTemp(path, ".trustpub-doctor-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// tryFile opens a file for writing.
func tryFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// Secret checks that a secret is there, and that no other user of the machine can read its file.
func Secret(subject, field, placeholder, path string, resolve func() (string, error)) Check {
	return Check{Area: "secret", Subject: subject, What: field + " " + placeholder + " can be read", Run: func(context.Context) []Finding {
		if _, err := resolve(); err != nil {
			return []Finding{failure("put the secret there, readable by the gateway's user; until then publishes are refused", "%s: %v", field, err)}
		}
		if path == "" {
			return []Finding{ok("%s %s is set", field, placeholder)}
		}
		info, err := os.Stat(path)
		if err != nil {
			return []Finding{failure("put the secret there", "%s: %v", field, err)}
		}
		if mode := info.Mode().Perm(); mode&0o007 != 0 {
			return []Finding{warning(fmt.Sprintf("chmod o= %s", path), "%s %s can be read, and by every user of this machine (mode %04o)", field, placeholder, mode)}
		}
		return []Finding{ok("%s %s can be read", field, placeholder)}
	}}
}
