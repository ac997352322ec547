// Package caddymodule is all of trustpub that knows Caddy. It wires the rooms below internal/ together and stays thin:
//
//   - the app trusted_publishing (global option of the same name) holds what sites share: issuers, policies, the publish
//     tokens, the replay store and the audit;
//   - the handler http.handlers.trusted_publishing (directive of the same name) holds the registries of one site and hands
//     each request to the gateway;
//   - one generic guest module gives every credential source, store and audit sink its module ID, JSON and Caddyfile syntax;
//   - the admin route GET /trusted_publishing/status, the metrics trusted_publishing_* and the command "caddy trustpub".
//
// What must live longer than one configuration (the store's file, the audit's file and chain, the issuers' key sets, the
// policy watcher) is kept in pools and counted by its users; it is closed when no configuration uses it and the last
// request that may touch it has left.
//
// Provision has no side effects, since it also runs for "caddy validate": everything that opens a file for writing or
// reaches the network happens in App.Start.
//
// Parts of others register with RegisterCredential, RegisterStore, RegisterAudit and RegisterEcosystem.
package caddymodule
