package cli

import (
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func (a *App) completeContainers(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return a.containerNames(cmd, args, false)
}

func (a *App) completeAllContainers(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return a.containerNames(cmd, args, true)
}

func (a *App) containerNames(cmd *cobra.Command, args []string, all bool) ([]string, cobra.ShellCompDirective) {
	api, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	got, err := api.ContainerList(cmd.Context(), client.ContainerListOptions{All: all})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, c := range got.Items {
		names = append(names, namesText(c.Names, false))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeImages completes the first word; what follows an image is for the container, so files are as good a guess as any.
func (a *App) completeImages(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	api, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	got, err := api.ImageList(cmd.Context(), client.ImageListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, i := range got.Items {
		names = append(names, i.RepoTags...)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
