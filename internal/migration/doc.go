// Package migration moves publishers from passwords to trusted publishing, from what the audit has seen: it suggests the
// policies that judged runs would have needed, says which packages are ready for exclusive policies, writes policies in
// bulk from a table, and fills in the stable ids that a hand-written policy lacks.
//
// Nothing here decides anything: what is suggested is loaded and evaluated by package policies before it is shown.
package migration
