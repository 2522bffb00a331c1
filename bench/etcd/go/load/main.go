// Command load is etcd's own load tool, `benchmark`, as it is published.
package main

import (
	"os"

	"go.etcd.io/etcd/v3/tools/benchmark/cmd"
)

func main() {
	if cmd.RootCmd.Execute() != nil { // it has said why
		os.Exit(1)
	}
}
