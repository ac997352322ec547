package handover

import (
	"slices"
	"strings"
	"unicode"
)

// mvn gets a copy of the settings that it would have read, with a server of the registry's name.
var mvn = Client{
	Name: "mvn", Programs: []string{"mvn", "mvnw", "mvnd", "mvnDebug"},
	Tell: "the repository's id must be NAME, in distributionManagement or in -DaltDeploymentRepository=NAME::default::URL",
	Hand: func(g Grant, p Place, command []string) (Handover, error) {
		return mvnWith(p, command, func(own string) (string, error) { return MavenSettings(g, own) })
	},
	Shadow: func(g Grant, p Place, command []string) (Handover, error) {
		return mvnWith(p, command, func(own string) (string, error) { return shadowSettings(g, own) })
	},
}

// mvnWith replaces the settings that the command line names, or adds some.
func mvnWith(p Place, command []string, edit func(own string) (string, error)) (Handover, error) {
	var args []string
	if len(command) > 0 {
		args = slices.Clone(command[1:])
	}
	own := p.inHome(".m2", "settings.xml")
	named := false
	for i := 0; i < len(args); i++ {
		switch name, value, joined := strings.Cut(args[i], "="); {
		case (args[i] == "-s" || args[i] == "--settings") && i+1 < len(args):
			own, args[i+1], named = args[i+1], p.file("settings.xml"), true
			i++
		case name == "--settings" && joined:
			own, args[i], named = value, "--settings="+p.file("settings.xml"), true
		}
	}
	text := p.own(own)
	settings, err := edit(text)
	if err != nil {
		return Handover{}, err
	}
	h := Handover{Files: map[string]string{"settings.xml": settings}}
	if slices.Contains([]string{"mvn", "mvnw", "mvnd", "mvnDebug"}, program(command)) {
		if !named {
			args = append([]string{"-s", p.file("settings.xml")}, args...)
		}
		h.Args = args
		return h, nil
	}
	// A script that runs Maven: 3.9 and later take arguments from here too.
	h.Env = map[string]string{"MAVEN_ARGS": strings.TrimSpace(p.Getenv("MAVEN_ARGS") + " -s " + p.file("settings.xml"))}
	return h, nil
}

// gradle finds the credentials of a repository by its name: credentials(PasswordCredentials) in the build. They are properties of the project, by
// which a build for an older one names them itself.
var gradle = Client{
	Name: "gradle", Programs: []string{"gradle", "gradlew"},
	Tell: "the build's repository has this name in camel case, and credentials(PasswordCredentials); before Gradle 6.6 its credentials are findProperty('nameUsername') and 'namePassword'",
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		name := camel(g.Name)
		return Handover{Env: map[string]string{"ORG_GRADLE_PROJECT_" + name + "Username": User, "ORG_GRADLE_PROJECT_" + name + "Password": g.Token}}, nil
	},
}

// camel is a name as Gradle's repositories have it: internal-maven is internalMaven.
func camel(name string) string {
	var b strings.Builder
	up := false
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			up = b.Len() > 0
		case up:
			b.WriteRune(unicode.ToUpper(r))
			up = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// sbt sends a password only to the realm that its file names, or to any when it reads and the file names none. So there are two files: one for the
// gateway's own challenge, which answers a publish, and one for that of the registry, which answers a read. The second is coursier's too.
var sbt = Client{
	Name: "sbt", Programs: []string{"sbt", "sbtn"},
	Tell: `the build reads them: credentials ++= Seq("SBT_CREDENTIALS", "COURSIER_CREDENTIALS").map(name => Credentials(file(sys.env(name))))`,
	Hand: func(g Grant, p Place, _ []string) (Handover, error) {
		host := g.parsed().Hostname()
		login := "host=" + host + "\nuser=" + User + "\npassword=" + g.Token + "\n"
		return Handover{
			Env: map[string]string{"SBT_CREDENTIALS": p.file("sbt.credentials"), "COURSIER_CREDENTIALS": p.file("coursier.properties")},
			Files: map[string]string{
				"sbt.credentials":     "realm=trustpub\n" + login,
				"coursier.properties": login + "trustpub.host=" + host + "\ntrustpub.username=" + User + "\ntrustpub.password=" + g.Token + "\ntrustpub.auto=true\n",
			},
		}, nil
	},
}
