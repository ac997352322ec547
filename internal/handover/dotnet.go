package handover

// nuget takes a key as an argument only, so it is in a variable that the user names; sources are read with the password of another.
var nuget = Client{
	Name: "nuget", Programs: []string{"dotnet", "nuget"},
	Tell: `push with: sh -c 'dotnet nuget push --source NAME --api-key "$NUGET_API_KEY" ...', since dotnet takes a key as an argument only`,
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{
			"NUGET_API_KEY": g.Token, "NuGetPackageSourceCredentials_" + g.Name: "Username=" + User + ";Password=" + g.Token,
		}}, nil
	},
}
