package pypi

// formField is what is known of a field of the form.
type formField struct {
	name string
	// bit is the field's in form.seen; zero for a field that is not in usualFields.
	bit uint64
	// value is where its value is kept, negative where it is not.
	value      int
	repeatable bool
	limit      int64 // of its value, in bytes
}

// kept are the fields whose values are read; a registry that believed another of two would not store what was judged.
var kept = [...]string{
	fieldAction, fieldName, fieldVersion, fieldFileType, fieldPyVersion, fieldProtocol, fieldSHA256, fieldBLAKE2, fieldMD5,
}

// repeatable are the lists of the core metadata, by the names under which clients send them. Every other field, known or
// not, may come once.
var repeatable = []string{
	"classifiers", "dynamic", "import_name", "import_namespace", "license_file", "license_files", "obsoletes", "obsoletes_dist",
	"platform", "platforms", "project_urls", "provides", "provides_dist", "provides_extra", "provides_extras", "requires", "requires_dist",
	"requires_external", "supported_platform", "supported_platforms",
}

// documents are the fields that hold whole ones.
var documents = []string{fieldDescription, fieldLicense, fieldAttestations}

// others are the other fields that most uploads have, so that nothing is allocated for them.
var others = []string{
	fieldContent, fieldSignature, "metadata_version", "summary", "home_page", "download_url", "author", "author_email", "maintainer",
	"maintainer_email", "keywords", "comment", "license_expression", "description_content_type", "requires_python",
}

// usualFields are these, by their names.
var usualFields = func() map[string]*formField {
	all := map[string]*formField{}
	add := func(name string, f formField) {
		f.name, f.bit = name, 1<<len(all)
		all[name] = &f
	}
	for i, name := range kept {
		add(name, formField{value: i, limit: maxKept})
	}
	for _, name := range repeatable {
		add(name, formField{value: -1, repeatable: true, limit: maxField})
	}
	for _, name := range documents {
		add(name, formField{value: -1, limit: maxDescription})
	}
	for _, name := range others {
		add(name, formField{value: -1, limit: maxField})
	}
	return all
}()

// usualValues are values that most uploads have, so that nothing is allocated for them.
var usualValues = func() map[string]string {
	all := map[string]string{}
	for _, value := range []string{actionUpload, "1", "bdist_wheel", "sdist", "source", "py3", "py2.py3"} {
		all[value] = value
	}
	return all
}()
