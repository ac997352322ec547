package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(opts Options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got %d arguments, expected none", len(args))
			}
			version, revision := opts.Version, ""
			if info, ok := debug.ReadBuildInfo(); ok {
				if version == "" {
					version = info.Main.Version
				}
				revision = revisionOf(info)
			}
			if version == "" {
				version = "(devel)"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "trustpub %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// revisionOf is the commit that the program was built from, where the build knows it.
func revisionOf(info *debug.BuildInfo) string {
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = " " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}
