package codeartifact

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/integration/registry/trust"
)

// refuseSTS is an error of STS; its message quotes what was sent, as some of AWS's do.
func refuseSTS(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>`, code)
	_ = xml.EscapeText(w, []byte(message))
	_, _ = fmt.Fprintf(w, `</Message></Error><RequestId>%s</RequestId></ErrorResponse>`, random(16))
}

var sessionName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)

// parameters are those of AssumeRoleWithWebIdentity that the contract knows.
var parameters = map[string]bool{
	"Action": true, "Version": true, "RoleArn": true, "RoleSessionName": true, "WebIdentityToken": true, "DurationSeconds": true, "Policy": true,
}

// assume is AssumeRoleWithWebIdentity.
func (s *Server) assume(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		refuseSTS(w, http.StatusBadRequest, "ValidationError", "no form")
		return
	}
	for name, values := range r.PostForm {
		if !parameters[name] || len(values) != 1 {
			refuseSTS(w, http.StatusBadRequest, "ValidationError", "parameter "+name)
			return
		}
	}
	f := r.PostForm
	seconds, err := strconv.Atoi(f.Get("DurationSeconds"))
	duration := time.Duration(seconds) * time.Second
	switch {
	case f.Get("Action") != "AssumeRoleWithWebIdentity", f.Get("Version") != "2011-06-15":
		refuseSTS(w, http.StatusBadRequest, "InvalidAction", "Action or Version")
		return
	case r.Header.Get("Authorization") != "":
		refuseSTS(w, http.StatusBadRequest, "ValidationError", "the call is not signed")
		return
	case !sessionName.MatchString(f.Get("RoleSessionName")), err != nil, duration < 15*time.Minute, duration > maxSession:
		refuseSTS(w, http.StatusBadRequest, "ValidationError", "RoleSessionName or DurationSeconds")
		return
	}
	policy, err := parsePolicy(f.Get("Policy"))
	if err != nil {
		refuseSTS(w, http.StatusBadRequest, "MalformedPolicyDocument", err.Error())
		return
	}
	s.mu.Lock()
	issuer := s.issuer
	s.mu.Unlock()
	switch err := issuer.Check(f.Get("WebIdentityToken"), s.Now()); {
	case errors.Is(err, trust.ErrExpired):
		refuseSTS(w, http.StatusBadRequest, "ExpiredTokenException", "Token expired: "+f.Get("WebIdentityToken"))
		return
	case err != nil && !errors.Is(err, trust.ErrClaim):
		refuseSTS(w, http.StatusBadRequest, "InvalidIdentityToken", err.Error()+": "+f.Get("WebIdentityToken"))
		return
	case err != nil, f.Get("RoleArn") != Role:
		refuseSTS(w, http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
		return
	}
	in := &session{
		name: f.Get("RoleSessionName"), accessKey: "ASIA" + random(8), secretKey: random(20), token: random(60), policy: policy,
		ends: s.Now().Add(duration),
	}
	s.mu.Lock()
	s.sessions[in.accessKey] = in
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Audience>%s</Audience><AssumedRoleUser><AssumedRoleId>AROA%s:%s</AssumedRoleId><Arn>arn:aws:sts::%s:assumed-role/trustpub-publish/%s</Arn></AssumedRoleUser>
<PackedPolicySize>12</PackedPolicySize><Provider>arn:aws:iam::%s:oidc-provider/ci</Provider>
<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>`,
		issuer.Audiences[0], random(8), in.name, Account, in.name, Account, in.accessKey, in.secretKey, in.token, in.ends.UTC().Format(time.RFC3339), random(16))
}

// refuse is an error of CodeArtifact.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// authorize is GetAuthorizationToken.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, err := s.signed(r)
	if err != nil {
		refuse(w, http.StatusForbidden, "AccessDeniedException", err.Error()+" "+r.Header.Get("X-Amz-Security-Token"))
		return
	}
	q := r.URL.Query()
	ends := in.ends
	for name, values := range q {
		if name != "domain" && name != "domain-owner" && name != "duration" || len(values) != 1 {
			refuse(w, http.StatusBadRequest, "ValidationException", "query "+name)
			return
		}
	}
	if seconds, err := strconv.Atoi(q.Get("duration")); err != nil || seconds != 0 && (seconds < 900 || seconds > 43200) {
		refuse(w, http.StatusBadRequest, "ValidationException", "duration")
		return
	} else if seconds != 0 {
		ends = s.Now().Add(time.Duration(seconds) * time.Second)
	}
	arn := "arn:aws:codeartifact:" + Region + ":" + Account + ":domain/" + q.Get("domain")
	switch {
	case !s.may(in, "codeartifact:GetAuthorizationToken", arn, nil),
		!s.may(in, "sts:GetServiceBearerToken", "*", map[string]string{"sts:AWSServiceName": "codeartifact.amazonaws.com"}):
		refuse(w, http.StatusForbidden, "AccessDeniedException", "not authorized to perform codeartifact:GetAuthorizationToken on "+arn)
		return
	case q.Get("domain") != Domain, q.Get("domain-owner") != Account:
		refuse(w, http.StatusNotFound, "ResourceNotFoundException", "no such domain")
		return
	}
	token := "eyJ2ZXIiOjEs" + random(200)
	s.tokens[token] = &session{name: in.name, policy: in.policy, ends: ends}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"authorizationToken":"%s","expiration":%.3f}`, token, float64(ends.UnixMilli())/1000)
}
