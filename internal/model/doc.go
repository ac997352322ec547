// Package model holds the words that every room of trustpub shares: identities, targets, actions, decisions,
// denials, credentials, operations and audit events. It imports nothing of this module and does no I/O, except that
// a Secret reads its own file or environment variable when it is used.
package model
