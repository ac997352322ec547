package credential

// Trier is implemented by a Source that knows a request by which the registry says whether it accepts a credential, and which
// changes nothing. Without it, the answer to a read with the credential is compared with that to a read with a wrong one.
type Trier interface {
	// Try is the question for a credential of Issue.
	Try() Trial
}

// Trial is a GET with a credential.
type Trial struct {
	// Path is the escaped path on the public host, Accept the header of that name; empty: none.
	Path, Accept string
	// Accepted reads the answer. An error means that it can't be told, and says why.
	Accepted func(status int, body []byte) (bool, error)
}
