package maven

import (
	pathpkg "path"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// metadataFile is the index of an artifact's versions, or of the builds of one snapshot.
const metadataFile = "maven-metadata.xml"

// checksums are the extensions of the digests that follow each file, and their length in hexadecimal digits.
var checksums = map[string]int{".md5": 32, ".sha1": 40, ".sha256": 64, ".sha512": 128}

// checksumLength is the number of digits in a checksum file, 0 for any other file.
func checksumLength(file string) int { return checksums[pathpkg.Ext(file)] }

// subject is the name of the file that a checksum is of, or the file's own.
func subject(file string) string {
	if checksumLength(file) > 0 {
		return strings.TrimSuffix(file, pathpkg.Ext(file))
	}
	return file
}

// snapshotBuild is what stands for SNAPSHOT in the names of a snapshot's files.
var snapshotBuild = regexp.MustCompile(`^[0-9]{8}\.[0-9]{6}-[0-9]+`)

// maxFile bounds a file name, in bytes, as file systems do.
const maxFile = 255

var plainFile = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)

// locate reads a path relative to the repository: GROUP/ARTIFACT/VERSION/FILE, the group's dots as slashes, or
// GROUP/ARTIFACT/maven-metadata.xml. It returns the target, without an action, or what is wrong.
func (p *protocol) locate(path string) (model.Target, *model.Denial) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	file := segments[len(segments)-1]
	if len(file) > maxFile || !plainFile.MatchString(file) {
		return model.Target{}, wrong("file name", file, "letters, digits, '.', '-', '_' and '+', at most 255 bytes")
	}
	dirs := segments[:len(segments)-1]
	t := model.Target{Ecosystem: Kind.Name, Registry: p.registry, File: file}
	index := subject(file) == metadataFile
	if !index || len(dirs) > 0 && strings.HasSuffix(dirs[len(dirs)-1], model.SnapshotSuffix) {
		if len(dirs) < 3 {
			return t, wrong("path", path, "group, artifact, version and file, as in /com/example/widget/1.0/widget-1.0.jar")
		}
		version, err := model.NormalizeVersion(Kind.Name, dirs[len(dirs)-1])
		if err != nil {
			return t, wrong("version", dirs[len(dirs)-1], "letters, digits, '.', '-', '_' and '+'").Because(err)
		}
		t.Version, dirs = version, dirs[:len(dirs)-1]
	}
	if len(dirs) < 2 {
		return t, wrong("path", path, "group and artifact, as in /com/example/widget/maven-metadata.xml")
	}
	group, artifact := dirs[:len(dirs)-1], dirs[len(dirs)-1]
	for _, part := range group {
		if strings.Contains(part, ".") { // the same group would have two paths
			return t, wrong("group in the path", strings.Join(group, "/"), "one directory for each part of the group")
		}
	}
	name, err := model.NormalizeName(Kind.Name, strings.Join(group, ".")+":"+artifact)
	if err != nil {
		return t, wrong("group and artifact", strings.Join(dirs, "/"), "letters, digits, '.', '-' and '_'").Because(err)
	}
	t.Package, t.Versionless = name, index && t.Version == ""
	if !index && !belongs(file, artifact, t.Version) {
		return t, model.Deny(model.CodePackageMismatch).Differ("file name", brief(file), artifact+"-"+t.Version+" and what follows it")
	}
	return t, nil
}

// belongs is true for a file name that begins with its artifact and version; in that of a snapshot, the moment of its build may
// stand for the word.
func belongs(file, artifact, version string) bool {
	rest, ok := strings.CutPrefix(file, artifact+"-")
	if !ok {
		return false
	}
	after, ok := strings.CutPrefix(rest, version)
	if base, snapshot := strings.CutSuffix(version, model.SnapshotSuffix); !ok && snapshot {
		if after, ok = strings.CutPrefix(rest, base+"-"); ok {
			build := snapshotBuild.FindString(after)
			after, ok = after[len(build):], build != ""
		}
	}
	return ok && len(after) > 1 && (after[0] == '.' || after[0] == '-')
}

func wrong(field, got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ(field, brief(got), want)
}

func brief(s string) string { return model.OneLine(s, 120) }
