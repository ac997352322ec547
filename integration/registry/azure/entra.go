package azure

import (
	"errors"
	"net/http"
	"time"

	"github.com/trustpub/trustpub/integration/registry/trust"
)

// problem is an error of Entra ID; its description quotes what was sent.
func problem(w http.ResponseWriter, status int, name string, code int, description string) {
	answer(w, status, map[string]any{
		"error": name, "error_description": description, "error_codes": []int{code}, "trace_id": random(8), "correlation_id": random(8),
	})
}

func (s *Server) discover(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("tenant") != Tenant {
		problem(w, http.StatusBadRequest, "invalid_tenant", 90002, "Tenant not found: "+r.PathValue("tenant"))
		return
	}
	base := "https://" + r.Host + "/" + Tenant
	answer(w, http.StatusOK, map[string]any{
		"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0",
		"device_authorization_endpoint": base + "/oauth2/v2.0/devicecode",
	})
}

// parameters are those of the sign-in that the contract knows; those with a value must have it.
var parameters = map[string]string{
	"grant_type": "client_credentials", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
	"client_id": "", "client_assertion": "", "scope": "", "client_info": "1",
}

// signIn is the sign-in of an application with an assertion.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" || r.Header.Get("Authorization") != "" {
		problem(w, http.StatusBadRequest, "invalid_request", 900144, "no form")
		return
	}
	f := r.PostForm
	for name, values := range f {
		if _, known := parameters[name]; !known || len(values) != 1 {
			problem(w, http.StatusBadRequest, "invalid_request", 900144, "parameter "+name)
			return
		}
	}
	for name, want := range parameters {
		if f.Get(name) == "" || want != "" && f.Get(name) != want {
			problem(w, http.StatusBadRequest, "invalid_request", 900144, "parameter "+name)
			return
		}
	}
	s.mu.Lock()
	issuer := s.issuer
	s.mu.Unlock()
	resource := ""
	for _, known := range []string{devOps, containerRegistry} {
		for _, more := range []string{"", " openid offline_access profile"} { // as the library asks
			if f.Get("scope") == known+more {
				resource = known
			}
		}
	}
	assertion := f.Get("client_assertion")
	switch err := issuer.Check(assertion, s.Now()); {
	case r.PathValue("tenant") != Tenant:
		problem(w, http.StatusBadRequest, "invalid_request", 90002, "Tenant not found")
	case f.Get("client_id") != Client:
		problem(w, http.StatusBadRequest, "unauthorized_client", 700016, "Application not found: "+f.Get("client_id"))
	case errors.Is(err, trust.ErrIssuer):
		problem(w, http.StatusUnauthorized, "invalid_client", 700211, "No matching federated identity record found: "+assertion)
	case errors.Is(err, trust.ErrAudience):
		problem(w, http.StatusUnauthorized, "invalid_client", 700212, "No matching federated identity record found: "+assertion)
	case errors.Is(err, trust.ErrClaim):
		problem(w, http.StatusUnauthorized, "invalid_client", 700213, "No matching federated identity record found: "+assertion)
	case errors.Is(err, trust.ErrExpired):
		problem(w, http.StatusUnauthorized, "invalid_client", 700024, "Client assertion is not within its valid time range.")
	case err != nil:
		problem(w, http.StatusUnauthorized, "invalid_client", 50013, "Assertion failed signature validation: "+assertion)
	case resource == "":
		problem(w, http.StatusBadRequest, "invalid_resource", 500011, "The resource principal was not found: "+f.Get("scope"))
	default:
		token := s.add(access{kind: "access", resource: resource}, accessLife)
		life := int(accessLife / time.Second)
		answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token})
	}
}
