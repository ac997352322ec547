package nexus

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// createRequest has every field of POST /service/rest/v1/security/users that is documented.
type createRequest struct {
	UserID       string   `json:"userId"`
	FirstName    string   `json:"firstName"`
	LastName     string   `json:"lastName"`
	EmailAddress string   `json:"emailAddress"`
	Password     string   `json:"password"`
	Status       string   `json:"status"`
	Roles        []string `json:"roles"`
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// invalid is Nexus's form of what a validation says.
func invalid(w http.ResponseWriter, field string) {
	answer(w, http.StatusBadRequest, []map[string]string{{"id": "FIELD " + field, "message": "invalid " + field}})
}

// createUser is POST: 400 for a field that is empty, for a user that there is, and for a role that there is not.
func (s *Server) createUser(w http.ResponseWriter, r *http.Request) {
	var q createRequest
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if kind != "application/json" || dec.Decode(&q) != nil || dec.More() {
		invalid(w, "body")
		return
	}
	for field, value := range map[string]string{"userId": q.UserID, "firstName": q.FirstName, "lastName": q.LastName, "password": q.Password} {
		if strings.TrimSpace(value) == "" {
			invalid(w, field)
			return
		}
	}
	local, domain, _ := strings.Cut(q.EmailAddress, "@")
	switch {
	case local == "" || domain == "":
		invalid(w, "emailAddress")
	case !slices.Contains([]string{"active", "locked", "disabled", "changepassword"}, q.Status):
		invalid(w, "status")
	case len(q.Roles) != 1 || s.Roles[q.Roles[0]] == nil:
		invalid(w, "roles")
	case q.UserID == Admin || s.users[q.UserID] != nil:
		invalid(w, "userId")
	default:
		s.users[q.UserID] = &account{password: q.Password, role: q.Roles[0]}
		s.made++
		a := shown(q.UserID, q.Roles[0])
		a["firstName"], a["lastName"], a["emailAddress"], a["status"] = q.FirstName, q.LastName, q.EmailAddress, q.Status
		s.change(a)
		answer(w, http.StatusOK, a)
	}
}

func (s *Server) change(a map[string]any) {
	if s.Change != nil {
		s.Change(a)
	}
}

func shown(name, role string) map[string]any {
	return map[string]any{
		"userId": name, "firstName": "x", "lastName": "y", "emailAddress": "x@example.com", "source": "default", "status": "active", "readOnly": false,
		"roles": []string{role}, "externalRoles": []string{},
	}
}

// listUsers is GET: those whose name begins so, of one source.
func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) {
	all := []map[string]any{}
	if source := r.URL.Query().Get("source"); source != "" && source != "default" {
		answer(w, http.StatusNotFound, "no such source")
		return
	}
	for name, a := range s.users {
		if strings.HasPrefix(strings.ToLower(name), strings.ToLower(r.URL.Query().Get("userId"))) {
			all = append(all, shown(name, a.role))
		}
	}
	answer(w, http.StatusOK, all)
}

// deleteUser is DELETE: 204, and 404 for one who is not there.
func (s *Server) deleteUser(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("id")
	if s.users[name] == nil {
		answer(w, http.StatusNotFound, "User '"+name+"' not found.")
		return
	}
	delete(s.users, name)
	w.WriteHeader(http.StatusNoContent)
}

// holder is the user of a call about tokens: 400 where tokens are off, 422 for another realm, 404 for nobody.
func (s *Server) holder(w http.ResponseWriter, r *http.Request) *account {
	a := s.users[r.PathValue("id")]
	switch {
	case !s.UserTokens:
		w.WriteHeader(http.StatusBadRequest)
	case r.PathValue("realm") != "default":
		w.WriteHeader(http.StatusUnprocessableEntity)
	case a == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		return a
	}
	return nil
}

// createToken is POST: 201 with the codes, 409 where there is one.
func (s *Server) createToken(w http.ResponseWriter, r *http.Request) {
	a := s.holder(w, r)
	if a == nil {
		return
	}
	if a.code != "" {
		w.WriteHeader(http.StatusConflict)
		return
	}
	a.name, a.code = random(4), random(22)
	made := map[string]any{
		"userId": r.PathValue("id"), "realm": "default", "nameCode": a.name, "passCode": a.code, "isExpired": false,
		"created": time.Now().UTC().Format(time.RFC3339), "expires": time.Now().AddDate(0, 0, 1).UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	s.change(made)
	answer(w, http.StatusCreated, made)
}

// deleteToken is DELETE: 204 at once, 404 where there is none.
func (s *Server) deleteToken(w http.ResponseWriter, r *http.Request) {
	a := s.holder(w, r)
	if a == nil {
		return
	}
	if a.code == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	a.name, a.code = "", ""
	w.WriteHeader(http.StatusNoContent)
}
