package pypi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// tempPrefix begins the names of uploads under way; no package's file begins so.
	tempPrefix = ".upload-"
	// maxUpload bounds an upload, and maxField one of its plain fields, in bytes.
	maxUpload = 1 << 30
	maxField  = 8 << 20
)

// refusal is an answer that is not a success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// upload takes a legacy upload. Nothing is kept before the last byte of the form was read.
func (x *Index) upload(w http.ResponseWriter, r *http.Request) {
	if !x.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="index"`)
		http.Error(w, "wrong user or password", http.StatusUnauthorized)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	file, err := x.take(r)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		x.cfg.Logger.Info("upload refused", "reason", refused.text)
		http.Error(w, refused.text, refused.status)
	case err != nil:
		x.cfg.Logger.Error("upload failed", "error", err)
		http.Error(w, "the index failed", http.StatusInternalServerError)
	default:
		x.cfg.Logger.Info("upload stored", "file", file.Name, "sha256", file.SHA256)
		w.WriteHeader(http.StatusOK)
	}
}

// take reads the form into a temporary file and keeps it.
func (x *Index) take(r *http.Request) (File, error) {
	reader, err := r.MultipartReader()
	if err != nil {
		return File{}, refuse(http.StatusBadRequest, "the upload is no multipart form")
	}
	temp, err := os.CreateTemp(x.files, tempPrefix+"*")
	if err != nil {
		return File{}, fmt.Errorf("temporary file: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // renamed on success, and then not there
	file, fields, err := readForm(reader, temp)
	if err == nil {
		// What follows the form must come too: the framing's end tells a whole upload from a cut one.
		if _, errRest := io.Copy(io.Discard, r.Body); errRest != nil {
			err = refuse(http.StatusBadRequest, "the upload ended early")
		}
	}
	if errClose := temp.Close(); err == nil && errClose != nil {
		err = fmt.Errorf("temporary file: %w", errClose)
	}
	if err != nil {
		return File{}, err
	}
	if err := check(&file, fields); err != nil {
		return File{}, err
	}
	if err := x.keep(temp.Name(), file); errors.Is(err, fs.ErrExist) {
		return File{}, refuse(http.StatusConflict, "%s already exists", file.Name)
	} else if err != nil {
		return File{}, err
	}
	return file, nil
}

// readForm reads the plain fields, the last of each name as registries do, and writes the content to dst.
func readForm(reader *multipart.Reader, dst *os.File) (File, map[string]string, error) {
	fields := map[string]string{}
	var file File
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return file, nil, refuse(http.StatusBadRequest, "the form ended early")
		}
		if part.FormName() != "content" {
			value, err := io.ReadAll(io.LimitReader(part, maxField))
			if err != nil {
				return file, nil, refuse(http.StatusBadRequest, "the form ended early")
			}
			fields[part.FormName()] = string(value)
			continue
		}
		if file.Name != "" {
			return file, nil, refuse(http.StatusBadRequest, "the form has two files")
		}
		file.Name = part.FileName()
		h := sha256.New()
		if file.Size, err = io.Copy(io.MultiWriter(dst, h), part); err != nil {
			return file, nil, refuse(http.StatusBadRequest, "the form ended early")
		}
		file.SHA256 = hex.EncodeToString(h.Sum(nil))
	}
	if err := dst.Sync(); err != nil {
		return file, nil, fmt.Errorf("temporary file: %w", err)
	}
	return file, fields, nil
}

func check(file *File, fields map[string]string) error {
	if fields[":action"] != "file_upload" {
		return refuse(http.StatusBadRequest, "only file_upload is served")
	}
	parsed, err := model.ParsePyPIFile(file.Name)
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	name, err := model.NormalizeName("pypi", fields["name"])
	if err != nil || name != parsed.Package {
		return refuse(http.StatusBadRequest, "the file is not one of package %q", fields["name"])
	}
	file.Package, file.Version = parsed.Package, parsed.Version
	return nil
}
