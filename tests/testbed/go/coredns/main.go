// A DNS server with what a cluster's services need, and no other plugin.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	// The order in which a question passes the plugins.
	dnsserver.Directives = []string{"errors", "cache", "kubernetes"}
	coremain.Run()
}
